//! When to try again to start a plugin that does not start.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(100);
/// Long enough that a broken plugin costs nothing, short enough that nobody restarts the gateway by hand.
const LAST: Duration = Duration::from_secs(30);

/// Doubles from `FIRST` to `LAST`. Without jitter: nothing is shared with others who would retry at the same time.
#[derive(Debug, Default)]
pub struct Backoff(Option<Wait>);

#[derive(Debug)]
struct Wait {
    until: Instant,
    delay: Duration,
}

// === impl Backoff ===

impl Backoff {
    pub fn allows(&self, now: Instant) -> bool {
        self.0.as_ref().is_none_or(|wait| now >= wait.until)
    }

    /// How long it is until the next attempt.
    pub fn failed(&mut self, now: Instant) -> Duration {
        let delay = self.0.as_ref().map_or(FIRST, |wait| (wait.delay * 2).min(LAST));
        self.0 = Some(Wait { until: now + delay, delay });
        delay
    }

    pub fn succeeded(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_start_again_after_a_success() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        assert!(backoff.allows(now));
        let delays: Vec<_> = (0..12).map(|_| backoff.failed(now)).collect();
        assert_eq!(delays[..3], [FIRST, FIRST * 2, FIRST * 4]);
        assert_eq!(delays[11], LAST);
        assert!(!backoff.allows(now + LAST - Duration::from_millis(1)) && backoff.allows(now + LAST));
        backoff.succeeded();
        assert_eq!(backoff.failed(now), FIRST);
    }
}
