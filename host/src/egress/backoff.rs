//! How long to wait before the next try.

use std::time::Duration;

/// The first wait: a broker that restarts is back within a second.
const FLOOR: Duration = Duration::from_millis(200);

/// The longest wait: an upstream that is back is used again within a few seconds.
const CEILING: Duration = Duration::from_secs(5);

/// Doubles from [`FLOOR`] to [`CEILING`]; each wait is jittered between a half and the whole of it, so that a site's
/// gateways do not come back in one wave.
pub struct Backoff {
    next: Duration,
    /// A number from 0 to 1. An argument, so that a test can say what it is.
    jitter: fn() -> f64,
}

// === impl Backoff ===

impl Backoff {
    pub fn new(jitter: fn() -> f64) -> Self {
        Self { next: FLOOR, jitter }
    }

    pub fn wait(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(CEILING);
        whole.mul_f64(0.5 + (self.jitter)() / 2.0)
    }

    /// For an answer that will not change by itself: a refusal waits long at once.
    pub fn wait_long(&mut self) -> Duration {
        self.next = CEILING;
        self.wait()
    }

    /// The connection was good: the next trouble begins at the floor.
    pub fn reset(&mut self) {
        self.next = FLOOR;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_ceiling_and_begin_again_after_a_reset() {
        let mut backoff = Backoff::new(|| 1.0);
        let waits: Vec<u128> = (0..7).map(|_| backoff.wait().as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.wait(), FLOOR);
        assert_eq!(backoff.wait_long(), CEILING);
    }

    #[test]
    fn jitter_takes_off_a_half_at_most() {
        assert_eq!(Backoff::new(|| 0.0).wait(), FLOOR / 2);
    }
}
