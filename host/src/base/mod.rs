//! What every module may use and what knows none of them: clocks, wakes, kill points, rate limits, the way out to a log or a terminal.

pub mod chance;
pub mod clock;
pub mod current;
pub mod excerpt;
pub mod fault;
pub mod heartbeat;
pub mod held_bytes;
pub mod journal;
pub mod kill_point;
pub mod ledger;
pub mod log_levels;
pub mod log_limit;
pub mod log_writer;
pub mod name;
pub mod plain;
pub mod private_file;
pub mod rate_limit;
pub mod secret;
pub mod timeline;
pub mod token_bucket;
pub mod utc;
pub mod wake;
pub mod watched_files;
