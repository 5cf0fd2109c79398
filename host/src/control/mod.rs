//! What all modules share: configuration, counters, clock, kill points, rate limits; and the admin socket.

pub mod admin;
pub mod chance;
pub mod clock;
pub mod config;
pub mod cork;
pub mod counters;
pub mod kill_point;
pub mod rate_limit;
