//! What is counted, and the equation that says whether every message was counted.

mod counters;

pub use counters::{Balance, Counter, Counters};
