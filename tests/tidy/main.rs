//! The repository reads itself: imports point downwards, and what comments and pages refer to exists, the statements of the
//! specification among it.

mod arrows;
mod conformance;
mod references;
mod tree;
