//! What steers the house: configuration and counters.

pub mod admin;
pub mod chance;
pub mod clock;
pub mod config;
pub mod cork;
pub mod counters;
pub mod kill_point;
pub mod rate_limit;
