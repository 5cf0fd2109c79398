//! The repository reads itself: imports point downwards, and what comments and pages refer to exists.

mod arrows;
mod references;
mod tree;
