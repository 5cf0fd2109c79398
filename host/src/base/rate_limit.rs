//! Logs that a flood of bad messages cannot flood. What devices choose (topics, client identifiers) is logged with `?`, which
//! escapes it: nobody writes lines or terminal codes of their own into our log.

use crate::base::clock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// At most so many lines in each window of time; the others are counted and told with the next one that is let through.
#[derive(Debug)]
pub struct RateLimit {
    lines: u64,
    window: Duration,
    start: Instant,
    /// Upper half: the number of the window that is being counted. Lower half: lines in it.
    counted: AtomicU64,
    suppressed: AtomicU64,
}

// === impl RateLimit ===

impl RateLimit {
    pub fn per_second(lines: u32) -> Self {
        Self::new(lines, Duration::from_secs(1))
    }

    pub fn one_in(window: Duration) -> Self {
        Self::new(1, window)
    }

    fn new(lines: u32, window: Duration) -> Self {
        let (counted, suppressed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { lines: lines.into(), window, start: clock::now(), counted, suppressed }
    }

    /// `Some(lines suppressed since the last one)` when a line may be written now.
    pub fn permit(&self) -> Option<u64> {
        self.permit_at(self.start.elapsed())
    }

    fn permit_at(&self, since_start: Duration) -> Option<u64> {
        let window = since_start.as_secs() / self.window.as_secs().max(1);
        let first = window << 32;
        let before = self.counted.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
            Some(if old >> 32 == window { old.saturating_add(1) } else { first + 1 })
        });
        let lines = before.map_or(0, |old| if old >> 32 == window { old & u64::from(u32::MAX) } else { 0 });
        if lines < self.lines {
            return Some(self.suppressed.swap(0, Ordering::Relaxed));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_flood_is_cut_and_counted() {
        let limit = RateLimit::per_second(2);
        let permits: Vec<_> = (0..5).map(|_| limit.permit_at(SECOND)).collect();
        assert_eq!(permits, [Some(0), Some(0), None, None, None]);
        assert_eq!(limit.permit_at(2 * SECOND), Some(3));
        assert_eq!(limit.permit_at(2 * SECOND), Some(0));
    }

    #[test]
    fn one_line_in_ten_seconds_is_one_line() {
        let limit = RateLimit::one_in(10 * SECOND);
        let times = [Duration::ZERO, SECOND, 9 * SECOND, 10 * SECOND, 19 * SECOND];
        assert_eq!(times.map(|time| limit.permit_at(time)), [Some(0), None, None, Some(2), None]);
    }
}
