//! The receiver's half of QoS 1 and 2 (MQTT 5, sections 4.3, 4.4, 4.6): deduplication by packet identifier, and acks in the order of
//! arrival. Without I/O.
//!
//! ```text
//! QoS 1:  PUBLISH ─▶ accepted, ticket ─▶ … outcome safe … ─▶ done(ticket) ─▶ PUBACK
//! QoS 2:  PUBLISH ─▶ accepted, ticket ─▶ … outcome safe … ─▶ done(ticket) ─▶ PUBREC ─▶ PUBREL ─▶ PUBCOMP
//! ```
//!
//! # How it is driven
//! 1. Each PUBLISH of QoS 1 or 2 goes into [`Receiver::arrive`], which says whether it is new and gives it a ticket.
//! 2. When what it causes is safe, or is refused, its ticket goes into [`Receiver::done`], and the acks that may leave come out.
//! 3. Each PUBREL goes into [`Receiver::release`], and the PUBCOMP comes out, to be sent at once or held until it is safe. For one that comes
//!    before its PUBREC was sent nothing comes out: [`Receiver::take_releases`] has it when PUBREC has been sent, to be released then.
//! 4. [`Receiver::reconnect`] at the beginning of each further connection of the session.
//!
//! # What it keeps to
//! A QoS 2 identifier is remembered from its first PUBLISH to its PUBREL, across connections: a PUBLISH that repeats it is
//! never accepted again [MQTT-4.3.3-10]. The DUP flag decides nothing: a first delivery may carry it, when the sender sent
//! the message into a connection that died before we saw it.
//!
//! For a session that survives a restart the identifier is written in the record of its message, and PUBCOMP is held until
//! its removal is safe: see [`Held`].

mod held;

use std::collections::{HashMap, VecDeque};

use smallvec::SmallVec;

use self::held::Held;
use super::{Ack, Packet, Reason};
use crate::message::QoS;

/// Those that may leave now: usually one.
pub type Packets = SmallVec<[Packet; 1]>;

#[derive(Debug)]
pub struct Receiver {
    next_ticket: u64,
    /// Each in order of arrival: acks of one QoS leave in that order [MQTT-4.6.0-2, MQTT-4.6.0-3].
    pubacks: VecDeque<Waiting>,
    pubrecs: VecDeque<Waiting>,
    held: Held,
    /// QoS 2 identifiers between PUBLISH and PUBREL.
    received: HashMap<u16, Stage>,
    /// Of those released early, the ones whose PUBREC has been sent.
    released: Vec<u16>,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    packet_id: u16,
    /// What to say, once the outcome is safe.
    answer: Option<Reason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The outcome is not safe yet: PUBREC follows.
    Processing,
    /// The same, and its PUBREL is here already. The identifier is not free before the outcome is safe: a repetition of its message would be a
    /// new one.
    ReleasedEarly,
    /// PUBREC was sent.
    Received,
}

/// What a PUBLISH at QoS 1 or 2 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A new message: the ack waits for this ticket.
    New { ticket: u64 },
    /// A QoS 2 message that is being processed: nothing to do, its PUBREC follows.
    InProgress,
    /// Its PUBREL has come and has no answer: no PUBLISH may have this identifier now.
    BeingReleased,
    /// A QoS 2 message whose PUBREC was sent: send it again.
    Repeated,
}

// === impl Receiver ===

impl Default for Receiver {
    fn default() -> Self {
        let (pubacks, pubrecs, received) = (VecDeque::new(), VecDeque::new(), HashMap::new());
        Self { next_ticket: 1, pubacks, pubrecs, held: Held::default(), received, released: Vec::new() }
    }
}

impl Receiver {
    /// Files a PUBLISH. `qos` is 1 or 2; QoS 0 has no exchange.
    pub fn arrive(&mut self, qos: QoS, packet_id: u16) -> Arrival {
        if qos == QoS::ExactlyOnce {
            match self.received.get(&packet_id) {
                Some(Stage::Processing) => return Arrival::InProgress,
                Some(Stage::ReleasedEarly) => return Arrival::BeingReleased,
                Some(Stage::Received) => return Arrival::Repeated,
                None => self.received.insert(packet_id, Stage::Processing),
            };
        }
        let ticket = self.next_ticket();
        self.queue(qos).push_back(Waiting { ticket, packet_id, answer: None });
        Arrival::New { ticket }
    }

    /// The outcome of this ticket is safe, or refused with `answer`. Gives the acks that may leave now, in order.
    pub fn done(&mut self, ticket: u64, answer: Reason) -> Packets {
        for queue in [&mut self.pubacks, &mut self.pubrecs] {
            // Tickets rise within a queue.
            if let Ok(at) = queue.binary_search_by_key(&ticket, |waiting| waiting.ticket) {
                queue[at].answer = Some(answer);
            }
        }
        let mut acks: Packets = leave(&mut self.pubacks).map(Packet::PubAck).collect();
        for ack in leave(&mut self.pubrecs) {
            if ack.reason.is_failure() {
                // A failed PUBREC ends the exchange; the identifier is free again (section 4.3.3).
                self.received.remove(&ack.packet_id);
            } else if self.received.insert(ack.packet_id, Stage::Received) == Some(Stage::ReleasedEarly) {
                self.released.push(ack.packet_id);
            }
            acks.push(Packet::PubRec(ack));
        }
        acks.extend(self.held.done(ticket));
        acks
    }

    /// Whether a PUBLISH would be a new message: what [`Receiver::arrive`] decides, before it is filed.
    pub fn is_new(&self, qos: QoS, packet_id: u16) -> bool {
        qos != QoS::ExactlyOnce || !self.received.contains_key(&packet_id)
    }

    /// QoS 2 exchanges that the sender has begun and not ended.
    pub fn open_qos_2(&self) -> usize {
        self.received.len()
    }

    /// A packet that leaves when this ticket is done.
    pub fn hold(&mut self, packet: Packet) -> u64 {
        let ticket = self.next_ticket();
        self.held.push(ticket, packet);
        ticket
    }

    /// Whether a packet waits for this ticket that can say nothing but that all is well.
    pub fn holds(&self, ticket: u64) -> bool {
        self.held.has(ticket)
    }

    /// Whether too many packets wait for what is being written.
    pub fn holds_too_much(&self) -> bool {
        self.held.is_full()
    }

    /// An identifier that was received before a restart and has not been released.
    pub fn restore(&mut self, packet_id: u16) {
        self.received.insert(packet_id, Stage::Received);
    }

    /// The QoS 2 identifiers that have not been released.
    pub fn received(&self) -> impl Iterator<Item = u16> {
        self.received.keys().copied()
    }

    /// PUBREL: forgets the identifier, and says so in PUBCOMP. One that is unknown was completed before [MQTT-4.3.3-11]. Nothing while
    /// its message is being processed.
    pub fn release(&mut self, packet_id: u16) -> Option<Ack> {
        let reason = match self.received.get_mut(&packet_id) {
            Some(stage @ (Stage::Processing | Stage::ReleasedEarly)) => {
                *stage = Stage::ReleasedEarly;
                return None;
            }
            Some(Stage::Received) => Reason::SUCCESS,
            None => Reason::PACKET_IDENTIFIER_NOT_FOUND,
        };
        self.received.remove(&packet_id);
        Some(Ack { packet_id, reason })
    }

    /// Those that were released before their PUBREC, which has been sent now.
    pub fn take_releases(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.released)
    }

    /// What counts against our Receive Maximum: QoS 1 until PUBACK, QoS 2 until PUBCOMP (MQTT 5, section 4.9).
    pub fn outstanding(&self) -> usize {
        self.pubacks.len() + self.received.len()
    }

    /// A new connection of the same session. The sender sends its unacknowledged QoS 1 messages again, as new ones; a
    /// PUBACK for the old ones would acknowledge identifiers that it has not sent on this connection.
    pub fn reconnect(&mut self) {
        self.pubacks.clear();
        self.held.reconnect();
        // A PUBREL is sent again as well, and answered then.
        for stage in self.received.values_mut().filter(|stage| **stage == Stage::ReleasedEarly) {
            *stage = Stage::Processing;
        }
    }

    fn next_ticket(&mut self) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        ticket
    }

    fn queue(&mut self, qos: QoS) -> &mut VecDeque<Waiting> {
        if qos == QoS::ExactlyOnce { &mut self.pubrecs } else { &mut self.pubacks }
    }
}

/// The answered ones at the head of the queue.
fn leave(queue: &mut VecDeque<Waiting>) -> impl Iterator<Item = Ack> {
    std::iter::from_fn(|| {
        let reason = queue.front()?.answer?;
        let packet_id = queue.pop_front()?.packet_id;
        Some(Ack { packet_id, reason })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(receiver: &mut Receiver, qos: QoS, packet_id: u16) -> u64 {
        match receiver.arrive(qos, packet_id) {
            Arrival::New { ticket } => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn ok(packet_id: u16) -> Ack {
        Ack { packet_id, reason: Reason::SUCCESS }
    }

    #[test]
    fn acks_leave_in_the_order_of_arrival_whatever_finishes_first() {
        let mut receiver = Receiver::default();
        let tickets = [5, 3, 9].map(|packet_id| new(&mut receiver, QoS::AtLeastOnce, packet_id));
        assert!(receiver.done(tickets[2], Reason::SUCCESS).is_empty());
        assert!(receiver.done(tickets[1], Reason::SUCCESS).is_empty());
        let acks = receiver.done(tickets[0], Reason::SUCCESS);
        assert_eq!(acks.into_vec(), [5, 3, 9].map(|packet_id| Packet::PubAck(ok(packet_id))));
    }

    #[test]
    fn qos_1_and_qos_2_do_not_wait_for_each_other() {
        let mut receiver = Receiver::default();
        let _slow = new(&mut receiver, QoS::ExactlyOnce, 1);
        let quick = new(&mut receiver, QoS::AtLeastOnce, 1);
        assert_eq!(receiver.done(quick, Reason::SUCCESS).into_vec(), [Packet::PubAck(ok(1))]);
    }

    #[test]
    fn a_qos_2_identifier_is_accepted_once_until_it_is_released() {
        let mut receiver = Receiver::default();
        let ticket = new(&mut receiver, QoS::ExactlyOnce, 7);
        assert_eq!(receiver.arrive(QoS::ExactlyOnce, 7), Arrival::InProgress);
        assert_eq!(receiver.done(ticket, Reason::SUCCESS).into_vec(), [Packet::PubRec(ok(7))]);
        assert_eq!(receiver.arrive(QoS::ExactlyOnce, 7), Arrival::Repeated);
        assert_eq!(receiver.release(7), Some(ok(7)));
        assert_eq!(receiver.release(7).map(|ack| ack.reason), Some(Reason::PACKET_IDENTIFIER_NOT_FOUND));
        assert!(matches!(receiver.arrive(QoS::ExactlyOnce, 7), Arrival::New { .. }));
    }

    #[test]
    fn a_pubrel_that_comes_before_its_pubrec_frees_nothing_and_is_answered_after_it() {
        let mut receiver = Receiver::default();
        let ticket = new(&mut receiver, QoS::ExactlyOnce, 7);
        assert_eq!((receiver.release(7), receiver.release(7)), (None, None));
        assert_eq!(receiver.arrive(QoS::ExactlyOnce, 7), Arrival::BeingReleased);
        assert!(!receiver.is_new(QoS::ExactlyOnce, 7) && receiver.take_releases().is_empty());
        assert_eq!(receiver.done(ticket, Reason::SUCCESS).into_vec(), [Packet::PubRec(ok(7))]);
        assert_eq!((receiver.take_releases(), receiver.take_releases()), (vec![7], vec![]));
        assert_eq!(receiver.release(7), Some(ok(7)));
        assert!(matches!(receiver.arrive(QoS::ExactlyOnce, 7), Arrival::New { .. }));
    }

    #[test]
    fn a_pubrel_that_came_early_on_an_earlier_connection_is_answered_when_it_comes_again() {
        let mut receiver = Receiver::default();
        let ticket = new(&mut receiver, QoS::ExactlyOnce, 7);
        assert_eq!(receiver.release(7), None);
        receiver.reconnect();
        assert_eq!(receiver.arrive(QoS::ExactlyOnce, 7), Arrival::InProgress);
        assert_eq!(receiver.done(ticket, Reason::SUCCESS).into_vec(), [Packet::PubRec(ok(7))]);
        assert!(receiver.take_releases().is_empty());
        assert_eq!(receiver.release(7), Some(ok(7)));
    }

    #[test]
    fn a_qos_2_message_in_the_chain_survives_a_reconnect_and_is_not_accepted_twice() {
        let mut receiver = Receiver::default();
        let ticket = new(&mut receiver, QoS::ExactlyOnce, 7);
        receiver.reconnect();
        assert_eq!(receiver.arrive(QoS::ExactlyOnce, 7), Arrival::InProgress);
        assert_eq!(receiver.done(ticket, Reason::SUCCESS).into_vec(), [Packet::PubRec(ok(7))]);
    }

    #[test]
    fn an_old_qos_1_ticket_says_nothing_on_the_next_connection() {
        let mut receiver = Receiver::default();
        let old = new(&mut receiver, QoS::AtLeastOnce, 7);
        receiver.reconnect();
        let again = new(&mut receiver, QoS::AtLeastOnce, 7);
        assert!(receiver.done(old, Reason::SUCCESS).is_empty());
        assert_eq!(receiver.done(again, Reason::SUCCESS).into_vec(), [Packet::PubAck(ok(7))]);
    }

    #[test]
    fn a_refused_qos_2_message_frees_its_identifier() {
        let mut receiver = Receiver::default();
        let ticket = new(&mut receiver, QoS::ExactlyOnce, 7);
        let [Packet::PubRec(ack)] = receiver.done(ticket, Reason::NOT_AUTHORIZED)[..] else { panic!() };
        assert_eq!(ack.reason, Reason::NOT_AUTHORIZED);
        assert_eq!(receiver.outstanding(), 0);
    }
}
