//! What every module may use and what knows none of them: clocks, wakes, kill points, rate limits.

pub mod chance;
pub mod clock;
pub mod kill_point;
pub mod rate_limit;
pub mod wake;
