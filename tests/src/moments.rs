//! Random moments.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// xorshift64: random enough to be anywhere.
pub struct Moments(u64);

// === impl Moments ===

impl Moments {
    /// Other ones each time: no run repeats another, and each adds to what is known.
    pub fn anew() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64);
        Self(now | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn within(&mut self, milliseconds: u64) -> Duration {
        Duration::from_micros(self.next() % (milliseconds * 1_000))
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.next().is_multiple_of(count)
    }
}
