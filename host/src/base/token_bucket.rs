//! A token bucket: a burst passes, and then one in each interval. What does not pass is counted, and told with the next that does.
//!
//! The arithmetic is `governor`'s (GCRA); here time is an argument, as everywhere, and not a clock that runs.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

#[derive(Debug)]
pub struct TokenBucket {
    limiter: RateLimiter<NotKeyed, InMemoryState, Told, StateInformationMiddleware>,
    burst: NonZeroU32,
    /// In which an empty one becomes full.
    fills_in: Duration,
    start: Instant,
    taken: Instant,
    /// From when on there is one.
    next: Instant,
    suppressed: u64,
}

/// The time that it was told last, in nanoseconds since its start.
#[derive(Debug, Default)]
struct Told(AtomicU64);

// === impl TokenBucket ===

impl TokenBucket {
    pub fn full(burst: u32, interval: Duration, now: Instant) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let interval = interval.max(Duration::from_nanos(1));
        let quota = Quota::with_period(interval).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(burst);
        let limiter = RateLimiter::direct_with_clock(quota, Told::default()).with_middleware();
        let fills_in = interval.saturating_mul(burst.get());
        let long_ago = now.checked_sub(fills_in).unwrap_or(now);
        Self { limiter, burst, fills_in, start: now, taken: long_ago, next: now, suppressed: 0 }
    }

    /// Without a burst: that has to be earned by being quiet.
    pub fn empty(burst: u32, interval: Duration, now: Instant) -> Self {
        let mut bucket = Self::full(burst, interval, now);
        bucket.take(burst, now);
        bucket
    }

    /// `Some(how many did not pass since the last one)` when one may pass now.
    pub fn permit(&mut self, now: Instant) -> Option<u64> {
        if self.take(1, now) {
            return Some(std::mem::take(&mut self.suppressed));
        }
        self.suppressed += 1;
        None
    }

    /// So many at once, or none of them. More than the burst count as the burst, so that the largest passes alone.
    pub fn take(&mut self, tokens: u32, now: Instant) -> bool {
        self.take_or_when(tokens, now).is_ok()
    }

    /// The same, or when there will be so many.
    pub fn take_or_when(&mut self, tokens: u32, now: Instant) -> Result<(), Instant> {
        let Some(tokens) = NonZeroU32::new(tokens.min(self.burst.get())) else { return Ok(()) };
        self.limiter.clock().tell(now.saturating_duration_since(self.start));
        match self.limiter.check_n(tokens) {
            Ok(Err(not_yet)) => return Err(self.start + not_yet.earliest_possible()),
            Ok(Ok(state)) if state.remaining_burst_capacity() > 0 => self.next = now,
            // Asked again, an empty one takes nothing, and says from when on it would. More than the burst is not asked for.
            Ok(Ok(_)) | Err(_) => {
                let again = self.limiter.check();
                self.next = again.map_or_else(|not_yet| self.start + not_yet.earliest_possible(), |_| now);
            }
        }
        self.taken = now;
        Ok(())
    }

    /// The most that passes at once.
    pub fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// Whether one could be taken.
    pub fn has_token(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// It knows nothing that a new one would not.
    pub fn is_full(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.taken) >= self.fills_in
    }
}

// === impl Told ===

impl Told {
    fn tell(&self, since_start: Duration) {
        self.0.store(u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Clock for Told {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
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

    #[test]
    fn who_has_to_wait_is_told_until_when() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let mut bucket = TokenBucket::empty(10, Duration::from_millis(100), start);
        assert_eq!(bucket.take_or_when(3, start), Err(after(300)));
        assert_eq!(bucket.take_or_when(3, after(299)), Err(after(300)));
        assert_eq!(bucket.take_or_when(3, after(300)), Ok(()));
        assert_eq!(bucket.take_or_when(1, after(300)), Err(after(400)));
        assert_eq!(bucket.take_or_when(0, after(300)), Ok(()));
        assert!(!bucket.has_token(after(399)) && bucket.has_token(after(400)));
        // A clock that goes back, or a day that nobody asks, makes no more of it than a burst.
        assert_eq!(bucket.take_or_when(1, start), Err(after(400)));
        assert_eq!(bucket.take_or_when(10, after(86_400_000)), Ok(()));
        assert_eq!(bucket.take_or_when(1, after(86_400_000)), Err(after(86_400_100)));
    }
}
