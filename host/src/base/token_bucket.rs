//! A token bucket: a burst passes, and then one in each interval. What does not pass is counted, and told with the next that does.

use std::time::{Duration, Instant};

#[derive(Debug)]
pub struct TokenBucket {
    tokens: u32,
    burst: u32,
    /// After it there is one token more.
    interval: Duration,
    refilled: Instant,
    suppressed: u64,
}

// === impl TokenBucket ===

impl TokenBucket {
    pub fn full(burst: u32, interval: Duration, now: Instant) -> Self {
        let interval = interval.max(Duration::from_nanos(1));
        Self { tokens: burst, burst, interval, refilled: now, suppressed: 0 }
    }

    /// `Some(how many did not pass since the last one)` when one may pass now.
    pub fn permit(&mut self, now: Instant) -> Option<u64> {
        self.refill(now);
        if self.tokens > 0 {
            self.tokens -= 1;
            return Some(std::mem::take(&mut self.suppressed));
        }
        self.suppressed += 1;
        None
    }

    /// So many at once, or none of them. More than the burst count as the burst, so that the largest passes alone.
    pub fn take(&mut self, tokens: u32, now: Instant) -> bool {
        self.refill(now);
        let left = self.tokens.checked_sub(tokens.min(self.burst));
        self.tokens = left.unwrap_or(self.tokens);
        left.is_some()
    }

    /// Whether one could be taken.
    pub fn has_token(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens > 0
    }

    /// It knows nothing that a new one would not.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens == self.burst
    }

    fn refill(&mut self, now: Instant) {
        let due = now.saturating_duration_since(self.refilled).as_nanos() / self.interval.as_nanos();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        if due > 0 {
            self.tokens = self.tokens.saturating_add(due).min(self.burst);
            // The part of an interval that has passed counts on, unless the bucket was full anyway.
            self.refilled = if self.tokens == self.burst { now } else { self.refilled + self.interval * due };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_so_many_and_the_rest_is_counted() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(100, Duration::from_millis(100), start);
        let passed =
            |bucket: &mut TokenBucket, at| (0..1_000).filter_map(|_| bucket.permit(start + at)).collect::<Vec<_>>();
        assert_eq!(passed(&mut bucket, Duration::ZERO), [0; 100]);
        assert_eq!(passed(&mut bucket, Duration::from_millis(250)), [900, 0]);
        assert!(passed(&mut bucket, Duration::from_millis(299)).is_empty());
        assert_eq!(passed(&mut bucket, Duration::from_millis(300)).len(), 1);
        assert_eq!(passed(&mut bucket, Duration::from_secs(60)).len(), 100);
    }

    #[test]
    fn many_are_taken_together_and_the_largest_alone() {
        let start = Instant::now();
        let mut bucket = TokenBucket::full(10, Duration::from_secs(1), start);
        assert!(bucket.take(6, start) && !bucket.take(6, start) && bucket.take(4, start));
        let later = start + Duration::from_secs(9);
        assert!(!bucket.take(1_000, later) && !bucket.is_full(later));
        let later = start + Duration::from_secs(10);
        assert!(bucket.is_full(later) && bucket.take(1_000, later));
    }
}
