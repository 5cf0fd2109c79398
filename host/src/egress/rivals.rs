//! Signs that another client uses our client id: a cloned card, a copied configuration, a tool. Pure: time comes in.
//!
//! - A server of MQTT 5 says so: DISCONNECT 0x8E, "Session taken over".
//! - A server of 3.1.1 just closes, and mosquitto 2.0.11 does in both versions. A line that breaks looks the same, and so does a server
//!   that closes on a message, which is why that is told as a guess. From then on a session in which nothing of ours is open is
//!   begun anew after each close: that costs nothing, and so the other's identifiers are not taken for ours.
//!
//! Each of the two ends the other again and again, so it is told once an hour and not each time.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// So many takeovers in so much time are no accident: one comes from a gateway that was started twice by mistake.
const TAKEOVERS: usize = 3;
const WITHIN: Duration = Duration::from_secs(10 * 60);

/// So many connections in a row that the server closes within seconds of letting us in.
const CLOSED: u32 = 5;

const AGAIN_AFTER: Duration = Duration::from_secs(60 * 60);

#[derive(Default)]
pub struct Rivals {
    takeovers: VecDeque<Instant>,
    closed: u32,
    told: Option<Instant>,
}

/// Something to tell now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// So many times in [`WITHIN`].
    TakenOver(usize),
    /// So many times in a row.
    Closed(u32),
}

// === impl Rivals ===

impl Rivals {
    /// The server has said that another client has our session.
    pub fn taken_over(&mut self, now: Instant) -> Option<Sign> {
        if self.takeovers.len() == TAKEOVERS {
            self.takeovers.pop_front();
        }
        self.takeovers.push_back(now);
        let first = *self.takeovers.front()?;
        let is_sign = self.takeovers.len() == TAKEOVERS && now - first <= WITHIN;
        self.tell(now, is_sign.then_some(Sign::TakenOver(TAKEOVERS)))
    }

    /// The server has closed soon after it had let us in.
    pub fn closed_early(&mut self, now: Instant) -> Option<Sign> {
        self.closed = self.closed.saturating_add(1);
        self.tell(now, (self.closed >= CLOSED).then_some(Sign::Closed(self.closed)))
    }

    /// Whether connections are closed early again and again.
    pub fn is_suspected(&self) -> bool {
        self.closed >= CLOSED
    }

    /// A connection lasted, or was not made at all.
    pub fn other_end(&mut self) {
        self.closed = 0;
    }

    fn tell(&mut self, now: Instant, sign: Option<Sign>) -> Option<Sign> {
        let is_due = self.told.is_none_or(|told| now - told >= AGAIN_AFTER);
        let sign = sign.filter(|_| is_due)?;
        self.told = Some(now);
        Some(sign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn takeovers_are_a_sign_when_they_come_close_together_and_are_told_once_an_hour() {
        let (mut rivals, start) = (Rivals::default(), Instant::now());
        let apart = [0, 6, 12].map(|minute| rivals.taken_over(start + minute * MINUTE));
        assert_eq!(apart, [None, None, None], "12 minutes");
        assert_eq!(rivals.taken_over(start + 13 * MINUTE), Some(Sign::TakenOver(3)));
        let hour: Vec<_> = (14..73).filter_map(|minute| rivals.taken_over(start + minute * MINUTE)).collect();
        assert_eq!(hour, []);
        assert_eq!(rivals.taken_over(start + 73 * MINUTE), Some(Sign::TakenOver(3)));
    }

    #[test]
    fn early_ends_are_a_sign_when_nothing_else_comes_between() {
        let (mut rivals, now) = (Rivals::default(), Instant::now());
        (0..4).for_each(|_| assert_eq!(rivals.closed_early(now), None));
        rivals.other_end();
        (0..4).for_each(|_| assert_eq!(rivals.closed_early(now), None));
        assert_eq!((rivals.closed_early(now), rivals.closed_early(now)), (Some(Sign::Closed(5)), None));
    }
}
