//! A message on which the device closes the connection: found, and given up for this device alone.
//!
//! A client may close on a message that the specification allows: a control character in the topic, more bytes than it has.
//! Sent first on each new connection, as it has to be, that message would be the last that this device ever gets.
//!
//! ```text
//! Usual     ── SUSPECT_AFTER ends in a row with the same oldest unacknowledged message ──▶ Isolating
//! Isolating    nothing is sent for QUIET, then one message at a time
//!           ── all that was under way is acknowledged, or the connection ends while nothing was sent ──▶ Usual
//!           ── GIVE_UP_AFTER ends, each within QUIET after the same message was sent alone ──▶ it is given up
//! ```
//!
//! A device that crashes by itself, or a network that breaks, gives up nothing: a connection that lived without the message for
//! as long as it did not live with it is what convicts. Nothing is written down: after a restart it is learned again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::base::fault::{self, Fault};
use crate::message::Message;

const SUSPECT_AFTER: u32 = 3;
const GIVE_UP_AFTER: u32 = 2;

/// How often a message was tried that is given up.
pub const ATTEMPTS: u32 = SUSPECT_AFTER + GIVE_UP_AFTER;

/// A device that closes on what it has read does so at once; this is for slow networks.
const QUIET: Duration = Duration::from_secs(2);

/// Messages that are remembered as given up: one that is retained comes again with each SUBSCRIBE.
const MAX_REMEMBERED: usize = 4;

#[derive(Debug)]
pub struct Isolation {
    stage: Stage,
    connected: Instant,
    /// The message that was sent alone on this connection, and when.
    alone: Option<(u16, Instant)>,
    given_up: VecDeque<Message>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Usual(Option<Count>),
    Isolating(Option<Count>),
}

/// How often in a row a connection has ended with this packet identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    packet_id: u16,
    ends: u32,
}

// === impl Isolation ===

impl Isolation {
    pub fn new(now: Instant) -> Self {
        Self { stage: Stage::Usual(None), connected: now, alone: None, given_up: VecDeque::new() }
    }

    /// The device is back.
    pub fn connected(&mut self, now: Instant) {
        self.connected = now;
        self.alone = None;
    }

    /// Whether messages are sent one at a time, each when the one before is acknowledged.
    pub fn is_active(&self) -> bool {
        matches!(self.stage, Stage::Isolating(_))
    }

    /// Until when nothing is sent.
    pub fn quiet_until(&self) -> Option<Instant> {
        self.is_active().then(|| self.connected + QUIET)
    }

    /// This message is sent alone.
    pub fn sent(&mut self, packet_id: u16, now: Instant) {
        self.alone = Some((packet_id, now));
    }

    /// Everything that was under way is acknowledged.
    pub fn is_over(&mut self) {
        self.stage = Stage::Usual(None);
    }

    /// The device has closed the connection, or vanished. `oldest` is the first message that it was sent and has not
    /// acknowledged. Gives the one that is to be given up, and after how many ends.
    pub fn ended(&mut self, oldest: Option<u16>, now: Instant) -> Option<u16> {
        if fault::is_on(Fault::NoSubscriberIsolation) {
            return None;
        }
        match self.stage {
            Stage::Usual(count) => {
                let count = oldest.map(|packet_id| Count::again(count, packet_id));
                let is_suspect = count.is_some_and(|count| count.ends >= SUSPECT_AFTER);
                self.stage = if is_suspect { Stage::Isolating(None) } else { Stage::Usual(count) };
                None
            }
            Stage::Isolating(count) => {
                let Some((packet_id, sent)) = self.alone else {
                    self.is_over();
                    return None;
                };
                if oldest != Some(packet_id) || now.saturating_duration_since(sent) > QUIET {
                    return None;
                }
                let count = Count::again(count, packet_id);
                let is_guilty = count.ends >= GIVE_UP_AFTER;
                self.stage = Stage::Isolating((!is_guilty).then_some(count));
                is_guilty.then_some(packet_id)
            }
        }
    }

    pub fn give_up(&mut self, message: Message) {
        self.given_up.truncate(MAX_REMEMBERED - 1);
        self.given_up.push_front(message);
    }

    /// Whether this device closes on such a message. QoS and retain flag do not matter: they are in the same bytes.
    pub fn is_given_up(&self, message: &Message) -> bool {
        let is_same = |other: &Message| {
            (&other.topic, &other.payload, &other.properties) == (&message.topic, &message.payload, &message.properties)
        };
        self.given_up.iter().any(is_same)
    }
}

// === impl Count ===

impl Count {
    fn again(last: Option<Self>, packet_id: u16) -> Self {
        let ends = last.filter(|last| last.packet_id == packet_id).map_or(1, |last| last.ends + 1);
        Self { packet_id, ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Device {
        isolation: Isolation,
        now: Instant,
    }

    fn device() -> Device {
        let now = Instant::now();
        Device { isolation: Isolation::new(now), now }
    }

    impl Device {
        /// A connection that ends so long after this message was sent, alone when that is how it is done.
        fn connects_and_ends(&mut self, packet_id: u16, after: Duration) -> Option<u16> {
            self.isolation.connected(self.now);
            if let Some(quiet_until) = self.isolation.quiet_until() {
                self.now = quiet_until;
                self.isolation.sent(packet_id, self.now);
            }
            self.now += after;
            self.isolation.ended(Some(packet_id), self.now)
        }

        fn becomes_suspicious(&mut self) {
            for _ in 0..SUSPECT_AFTER {
                assert!(!self.isolation.is_active());
                assert_eq!(self.connects_and_ends(7, Duration::ZERO), None);
            }
            assert!(self.isolation.is_active());
        }
    }

    #[test]
    fn a_message_that_ends_connections_alone_is_given_up_and_not_before() {
        let mut device = device();
        device.becomes_suspicious();
        assert_eq!(device.connects_and_ends(7, Duration::ZERO), None);
        assert_eq!(device.connects_and_ends(7, Duration::ZERO), Some(7));
    }

    #[test]
    fn the_neighbour_of_the_culprit_is_not_given_up() {
        let mut device = device();
        device.becomes_suspicious();
        assert_eq!(device.connects_and_ends(8, Duration::ZERO), None);
        assert_eq!(device.connects_and_ends(7, Duration::ZERO), None);
        assert_eq!(device.connects_and_ends(7, Duration::ZERO), Some(7));
    }

    #[test]
    fn connections_that_end_by_themselves_give_up_nothing() {
        let mut device = device();
        for _ in 0..10 {
            device.becomes_suspicious();
            device.isolation.connected(device.now);
            assert_eq!(device.isolation.ended(None, device.now), None, "nothing was sent");
        }
    }

    #[test]
    fn a_connection_that_lives_on_with_the_message_says_nothing_against_it() {
        let mut device = device();
        device.becomes_suspicious();
        for _ in 0..10 {
            assert_eq!(device.connects_and_ends(7, QUIET + Duration::from_millis(1)), None);
        }
    }

    #[test]
    fn progress_begins_the_count_anew() {
        let mut device = device();
        for packet_id in 0..20 {
            assert_eq!(device.connects_and_ends(packet_id, Duration::ZERO), None);
            assert!(!device.isolation.is_active());
        }
    }
}
