//! The wall clock, read in one place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch; 0 while the clock stands before it, as on a board without a battery.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A moment of the past on the wall clock, for what is written down.
pub fn unix_ms_of(moment: Instant) -> u64 {
    unix_ms().saturating_sub(u64::try_from(moment.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// How long ago it was. Nothing, when the clock has been set back since.
pub fn since_unix_ms(moment: u64) -> Duration {
    Duration::from_millis(unix_ms().saturating_sub(moment))
}

/// How long it is until then. Nothing, when it has passed.
pub fn until_unix_ms(moment: u64) -> Duration {
    Duration::from_millis(moment.saturating_sub(unix_ms()))
}
