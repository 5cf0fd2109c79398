//! The chain: a message folded through its plugins. Pure: no sockets, time comes in.

mod outcome;

pub use outcome::{Failure, FailureKind, Outcome};
