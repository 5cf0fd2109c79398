//! A warning for each message would bury the log: one in a while, and how many were left out.

use std::time::Duration;

use tokio::time::Instant;

/// One line per kind and upstream in this time.
const INTERVAL: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Throttle {
    last: Option<Instant>,
    left_out: u64,
}

// === impl Throttle ===

impl Throttle {
    /// `Some(n)` when it is time to speak, after `n` silent times.
    pub fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.last.is_some_and(|last| now < last + INTERVAL) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_counted_and_told_with_the_next_line() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        let times = [now, now, now + INTERVAL / 2, now + INTERVAL, now + INTERVAL];
        assert_eq!(times.map(|time| throttle.pass(time)), [Some(0), None, None, Some(2), None]);
    }
}
