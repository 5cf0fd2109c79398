//! Logs that a flood of bad messages cannot flood. What devices choose (topics, client identifiers) is logged with `?`, which
//! escapes it: nobody writes lines or terminal codes of their own into our log.

use crate::control::clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// At most so many lines in each second; the others are counted and told with the next one that is let through.
#[derive(Debug)]
pub struct RateLimit {
    per_second: u64,
    start: Instant,
    /// Upper half: the second that is being counted. Lower half: lines in it.
    window: AtomicU64,
    suppressed: AtomicU64,
}

impl RateLimit {
    pub fn per_second(lines: u32) -> Self {
        let (window, suppressed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { per_second: lines.into(), start: clock::now(), window, suppressed }
    }

    /// `Some(lines suppressed since the last one)` when a line may be written now.
    pub fn permit(&self) -> Option<u64> {
        self.permit_at(clock::since(self.start).as_secs())
    }

    fn permit_at(&self, second: u64) -> Option<u64> {
        let window = second << 32;
        let before = self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
            Some(if old >> 32 == second { old.saturating_add(1) } else { window + 1 })
        });
        let lines = before.map_or(0, |old| if old >> 32 == second { old & u64::from(u32::MAX) } else { 0 });
        if lines < self.per_second {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let limit = RateLimit::per_second(2);
        let permits: Vec<_> = (0..5).map(|_| limit.permit_at(1)).collect();
        assert_eq!(permits, [Some(0), Some(0), None, None, None]);
        assert_eq!(limit.permit_at(2), Some(3));
        assert_eq!(limit.permit_at(2), Some(0));
    }
}
