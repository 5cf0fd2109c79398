//! What steers the house: configuration and counters.

pub mod config;
pub mod counters;
