//! When to stop waiting for an ack on a connection that works (MQTT 5, section 4.4). Pure: time comes in.
//!
//! Only the oldest exchange is watched, and its time begins when it is wholly written and nothing older waits: a server that is slow
//! and acknowledges one after the other is never left, however much stands in the window.
//!
//! Nothing is kept for each message: the oldest is looked at a few times in each timeout, so that an ack is called late within
//! a quarter of the timeout after it is.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::fault::{self, Fault};
use crate::mqtt::sender::Awaited;

/// Looks in one timeout.
const LOOKS: u32 = 8;

pub struct AckWatch {
    timeout: Duration,
    next_look: Instant,
    watched: Option<Watched>,
}

struct Watched {
    awaited: Awaited,
    /// It is written when so many bytes are.
    end: u64,
    /// When it was first seen written.
    since: Option<Instant>,
}

/// Bytes of a connection, counted from its beginning.
#[derive(Clone, Copy)]
pub struct Sent {
    pub queued: u64,
    pub written: u64,
}

// === impl AckWatch ===

impl AckWatch {
    pub fn new(timeout: Duration, now: Instant) -> Self {
        Self { timeout, next_look: now, watched: None }
    }

    pub fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Gives what is late, when something is.
    pub fn look(&mut self, now: Instant, awaited: Option<Awaited>, sent: Sent) -> Option<Awaited> {
        if now < self.next_look {
            return None;
        }
        self.next_look = now + self.timeout / LOOKS;
        let same = self.watched.take().filter(|watched| Some(watched.awaited) == awaited);
        let fresh = |awaited| Watched { awaited, end: sent.queued, since: None };
        let mut watched = same.or_else(|| awaited.map(fresh))?;
        if sent.written >= watched.end {
            watched.since.get_or_insert(now);
        }
        let late = watched.since.is_some_and(|since| now >= since + self.timeout).then_some(watched.awaited);
        self.watched = Some(watched);
        late.filter(|_| !fault::is_on(Fault::NoAckTimeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::sender::AckKind;

    const TIMEOUT: Duration = Duration::from_secs(8);
    const ALL: Sent = Sent { queued: 100, written: 100 };

    fn of(number: u64) -> Option<Awaited> {
        Some(Awaited { number, packet_id: 1, ack: AckKind::OfPublish })
    }

    /// Looks each second; the second at which something was late.
    fn late(mut look: impl FnMut(u64) -> (Option<Awaited>, Sent)) -> Option<u64> {
        let start = Instant::now();
        let mut watch = AckWatch::new(TIMEOUT, start);
        (0..60).find(|second| {
            let (awaited, sent) = look(*second);
            watch.look(start + Duration::from_secs(*second), awaited, sent).is_some()
        })
    }

    #[test]
    fn the_oldest_is_late_after_the_timeout_however_much_is_acknowledged_behind_it() {
        assert_eq!(late(|_| (of(1), ALL)), Some(8));
        assert_eq!(late(|second| (of(if second < 5 { 1 } else { 7 }), ALL)), Some(13));
    }

    #[test]
    fn a_server_that_acknowledges_one_after_the_other_is_never_late() {
        assert_eq!(late(|second| (of(second / 7), ALL)), None);
        assert_eq!(late(|_| (None, ALL)), None);
    }

    #[test]
    fn the_time_begins_when_the_message_is_written() {
        let slow = |second| Sent { queued: 1000, written: second * 100 };
        assert_eq!(late(|second| (of(1), slow(second))), Some(18));
    }

    #[test]
    fn each_step_of_an_exchange_has_its_own_time() {
        let kind = |second| if second < 6 { AckKind::OfPublish } else { AckKind::PubComp };
        let step = |second| Awaited { number: 1, packet_id: 1, ack: kind(second) };
        assert_eq!(late(|second| (Some(step(second)), ALL)), Some(14));
    }
}
