//! How many jobs a turn takes up: as many as are done in a few milliseconds.
//!
//! Whoever comes in the midst of a turn waits for all of it, and what is in front of a lane goes before his. Behind a quick plugin that is nothing; 64
//! messages of one that needs half a millisecond for each are a long time. A call for fewer costs no more there.

use std::time::Duration;

use super::batching::MAX_BATCH;
use super::slow_lane::QUICK;

/// Twice the usual window of a device.
const CLIENT: usize = 256;

#[derive(Debug)]
pub(super) struct TurnSize(usize);

// === impl TurnSize ===

impl TurnSize {
    pub fn jobs(&self) -> usize {
        self.0
    }

    /// Small messages that a client has before others come. Behind a quick plugin more than its usual window: what is behind the lane (the log, acks,
    /// sockets) is cheaper for many of one client. Behind a slow one, that is little beside what the others wait for.
    pub fn of_client(&self) -> usize {
        if self.0 == MAX_BATCH { CLIENT } else { self.0.div_ceil(4) }
    }

    /// A turn of so many took so much CPU time.
    pub fn end_turn(&mut self, jobs: usize, spent: Duration) {
        if spent > QUICK {
            let fit = jobs as f64 * QUICK.div_duration_f64(spent);
            self.0 = (fit as usize).clamp(1, MAX_BATCH);
        } else if jobs == self.0 && spent < QUICK / 2 {
            self.0 = (2 * jobs).min(MAX_BATCH);
        }
    }

    /// What a turn would have taken that was not made shorter, as far as it matters: a lane is not quicker for it.
    pub fn of_whole_turn(&self, turn: Duration) -> Duration {
        let times = MAX_BATCH / self.0.max(1);
        turn.max(turn.saturating_mul(times as u32).min(2 * QUICK))
    }
}

impl Default for TurnSize {
    fn default() -> Self {
        Self(MAX_BATCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_become_shorter_until_they_are_quick_and_longer_again_when_they_are() {
        let (mut size, each) = (TurnSize::default(), Duration::from_micros(500));
        for _ in 0..5 {
            size.end_turn(size.jobs(), each * size.jobs() as u32);
        }
        assert_eq!(size.jobs(), 10);
        size.end_turn(1, Duration::from_secs(1));
        assert_eq!(size.jobs(), 1);
        for _ in 0..6 {
            size.end_turn(size.jobs(), Duration::from_micros(2) * size.jobs() as u32);
        }
        assert_eq!(size.jobs(), MAX_BATCH);
    }

    #[test]
    fn a_client_has_its_window_behind_a_quick_plugin_and_a_part_of_a_turn_behind_a_slow_one() {
        let mut size = TurnSize::default();
        assert_eq!(size.of_client(), 256);
        size.end_turn(64, 8 * QUICK);
        assert_eq!((size.jobs(), size.of_client()), (8, 2));
    }

    #[test]
    fn a_turn_with_little_to_do_says_nothing() {
        let mut size = TurnSize::default();
        size.end_turn(64, 64 * QUICK);
        size.end_turn(0, Duration::ZERO);
        assert_eq!(size.jobs(), 1);
    }

    #[test]
    fn a_lane_is_as_slow_as_its_whole_turns_would_be() {
        let mut size = TurnSize::default();
        assert_eq!(size.of_whole_turn(QUICK / 2), QUICK / 2);
        size.end_turn(64, 4 * QUICK);
        assert_eq!(size.of_whole_turn(QUICK / 2), 2 * QUICK);
        assert_eq!(size.of_whole_turn(9 * QUICK), 9 * QUICK);
    }
}
