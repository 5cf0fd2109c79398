//! What a server sends that nobody has asked for: messages without a subscription, acks of nothing, answers to no ping. Pure: time comes in.
//!
//! Some of it is usual: acks that come twice, a session of an earlier user of our client id with a subscription and a thousand messages. A
//! server that never ends would keep a core busy for as long as it likes, and each packet may make us answer. So each costs, by its size,
//! and what is spent comes back with time. Who has nothing left is told so (0x96, "Message rate too high"), and the connection ends.
//!
//! What was asked for costs nothing, here and in time.

use std::time::Duration;

use tokio::time::Instant;

/// A packet, and one more for each so many bytes of it.
const BYTES: usize = 256;
/// What may come at once: a thousand small messages that an old subscription has left, or a megabyte.
const BURST: u64 = 4_000;
/// What comes back in a second: a hundred small packets cost less than a thousandth of a core.
const BACK: u64 = 100;
/// By each ack that was waited for.
const EARNED: u64 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unasked {
    Publish,
    Ack,
    PingResp,
}

/// Of one connection.
pub struct Patience {
    spent: u64,
    since: Instant,
}

// === impl Patience ===

impl Patience {
    pub fn new(now: Instant) -> Self {
        Self { spent: 0, since: now }
    }

    /// One came that was asked for. So a server that acknowledges twice, and takes much, is none that floods.
    pub fn earn(&mut self) {
        self.spent = self.spent.saturating_sub(EARNED);
    }

    /// A packet of so many bytes. `false` when it was one too many.
    pub fn bears(&mut self, bytes: usize, now: Instant) -> bool {
        let seconds = (now - self.since).as_secs();
        self.since += Duration::from_secs(seconds);
        let cost = 1 + (bytes / BYTES) as u64;
        self.spent = self.spent.saturating_sub(seconds.saturating_mul(BACK)) + cost;
        self.spent <= BURST
    }
}

// === impl Unasked ===

impl Unasked {
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "messages without a subscription",
            Self::Ack => "acks of nothing",
            Self::PingResp => "answers to no ping",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_borne_and_a_flood_is_not() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        let small = (0..10_000).take_while(|_| patience.bears(100, start)).count();
        assert_eq!(small, BURST as usize);
        let mut patience = Patience::new(start);
        assert!((0..).take_while(|_| patience.bears(60_000, start)).count() < 20, "a megabyte");
    }

    #[test]
    fn each_ack_twice_is_no_flood() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        assert!((0..100_000).all(|_| {
            patience.earn();
            patience.bears(4, start)
        }));
    }

    #[test]
    fn what_comes_slowly_is_borne_for_ever() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        let every = Duration::from_millis(11);
        assert!((0..1_000_000).all(|n| patience.bears(100, start + every * n)));
        let mut patience = Patience::new(start);
        assert!(!(0..1_000_000).all(|n| patience.bears(100, start + every / 2 * n)));
    }
}
