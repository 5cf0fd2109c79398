//! QoS 1 and 2 from the device to us: deduplication by packet identifier, and acks in the order of arrival.
//!
//! ```text
//! QoS 1:  PUBLISH ─▶ accepted, ticket ─▶ … outcome safe … ─▶ done(ticket) ─▶ PUBACK
//! QoS 2:  PUBLISH ─▶ accepted, ticket ─▶ … outcome safe … ─▶ done(ticket) ─▶ PUBREC ─▶ PUBREL ─▶ PUBCOMP
//! ```
//!
//! A QoS 2 identifier is remembered from its first PUBLISH to its PUBREL, across connections: a PUBLISH that repeats it is
//! never accepted again [MQTT-4.3.3-10]. The DUP flag decides nothing: a first delivery may carry it, when the device sent
//! the message into a connection that died before we saw it.
//!
//! For a session that survives a restart the identifier is written in the record of its message, and PUBCOMP is held until
//! its removal is safe: see [`Held`].

use std::collections::{HashMap, VecDeque};

use super::Packets;
use super::held::Held;
use crate::message::QoS;
use crate::mqtt::{Ack, Packet, Reason};

#[derive(Debug)]
pub struct Exchanges {
    next_ticket: u64,
    /// Each in order of arrival: acks of one QoS leave in that order [MQTT-4.6.0-2, MQTT-4.6.0-3].
    pubacks: VecDeque<Waiting>,
    pubrecs: VecDeque<Waiting>,
    held: Held,
    /// QoS 2 identifiers between PUBLISH and PUBREL.
    received: HashMap<u16, Stage>,
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
    /// A QoS 2 message whose PUBREC was sent: send it again.
    Repeated,
}

// === impl Exchanges ===

impl Default for Exchanges {
    fn default() -> Self {
        let (pubacks, pubrecs, received) = (VecDeque::new(), VecDeque::new(), HashMap::new());
        Self { next_ticket: 1, pubacks, pubrecs, held: Held::default(), received }
    }
}

impl Exchanges {
    /// Files a PUBLISH. `qos` is 1 or 2; QoS 0 has no exchange.
    pub fn arrive(&mut self, qos: QoS, packet_id: u16) -> Arrival {
        if qos == QoS::ExactlyOnce {
            match self.received.get(&packet_id) {
                Some(Stage::Processing) => return Arrival::InProgress,
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
            } else {
                self.received.insert(ack.packet_id, Stage::Received);
            }
            acks.push(Packet::PubRec(ack));
        }
        acks.extend(self.held.done(ticket));
        acks
    }

    /// Whether a PUBLISH would be a new message: what [`Exchanges::arrive`] decides, before it is filed.
    pub fn is_new(&self, qos: QoS, packet_id: u16) -> bool {
        qos != QoS::ExactlyOnce || !self.received.contains_key(&packet_id)
    }

    /// QoS 2 exchanges that the device has begun and not ended.
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

    /// PUBREL: forgets the identifier, and says so in PUBCOMP. One that is unknown was completed before [MQTT-4.3.3-11].
    pub fn release(&mut self, packet_id: u16) -> Ack {
        let known = self.received.remove(&packet_id).is_some();
        let reason = if known { Reason::SUCCESS } else { Reason::PACKET_IDENTIFIER_NOT_FOUND };
        Ack { packet_id, reason }
    }

    /// What counts against our Receive Maximum: QoS 1 until PUBACK, QoS 2 until PUBCOMP (MQTT 5, section 4.9).
    pub fn outstanding(&self) -> usize {
        self.pubacks.len() + self.received.len()
    }

    /// A new connection of the same session. The device sends its unacknowledged QoS 1 messages again, as new ones; a
    /// PUBACK for the old ones would acknowledge identifiers that it has not sent on this connection.
    pub fn reconnect(&mut self) {
        self.pubacks.clear();
        self.held.reconnect();
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

    fn new(exchanges: &mut Exchanges, qos: QoS, packet_id: u16) -> u64 {
        match exchanges.arrive(qos, packet_id) {
            Arrival::New { ticket } => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn ok(packet_id: u16) -> Ack {
        Ack { packet_id, reason: Reason::SUCCESS }
    }

    #[test]
    fn acks_leave_in_the_order_of_arrival_whatever_finishes_first() {
        let mut exchanges = Exchanges::default();
        let tickets = [5, 3, 9].map(|packet_id| new(&mut exchanges, QoS::AtLeastOnce, packet_id));
        assert!(exchanges.done(tickets[2], Reason::SUCCESS).is_empty());
        assert!(exchanges.done(tickets[1], Reason::SUCCESS).is_empty());
        let acks = exchanges.done(tickets[0], Reason::SUCCESS);
        assert_eq!(acks.into_vec(), [5, 3, 9].map(|packet_id| Packet::PubAck(ok(packet_id))));
    }

    #[test]
    fn qos_1_and_qos_2_do_not_wait_for_each_other() {
        let mut exchanges = Exchanges::default();
        let _slow = new(&mut exchanges, QoS::ExactlyOnce, 1);
        let quick = new(&mut exchanges, QoS::AtLeastOnce, 1);
        assert_eq!(exchanges.done(quick, Reason::SUCCESS).into_vec(), [Packet::PubAck(ok(1))]);
    }

    #[test]
    fn a_qos_2_identifier_is_accepted_once_until_it_is_released() {
        let mut exchanges = Exchanges::default();
        let ticket = new(&mut exchanges, QoS::ExactlyOnce, 7);
        assert_eq!(exchanges.arrive(QoS::ExactlyOnce, 7), Arrival::InProgress);
        assert_eq!(exchanges.done(ticket, Reason::SUCCESS).into_vec(), [Packet::PubRec(ok(7))]);
        assert_eq!(exchanges.arrive(QoS::ExactlyOnce, 7), Arrival::Repeated);
        assert_eq!(exchanges.release(7), ok(7));
        assert_eq!(exchanges.release(7).reason, Reason::PACKET_IDENTIFIER_NOT_FOUND);
        assert!(matches!(exchanges.arrive(QoS::ExactlyOnce, 7), Arrival::New { .. }));
    }

    #[test]
    fn a_qos_2_message_in_the_chain_survives_a_reconnect_and_is_not_accepted_twice() {
        let mut exchanges = Exchanges::default();
        let ticket = new(&mut exchanges, QoS::ExactlyOnce, 7);
        exchanges.reconnect();
        assert_eq!(exchanges.arrive(QoS::ExactlyOnce, 7), Arrival::InProgress);
        assert_eq!(exchanges.done(ticket, Reason::SUCCESS).into_vec(), [Packet::PubRec(ok(7))]);
    }

    #[test]
    fn an_old_qos_1_ticket_says_nothing_on_the_next_connection() {
        let mut exchanges = Exchanges::default();
        let old = new(&mut exchanges, QoS::AtLeastOnce, 7);
        exchanges.reconnect();
        let again = new(&mut exchanges, QoS::AtLeastOnce, 7);
        assert!(exchanges.done(old, Reason::SUCCESS).is_empty());
        assert_eq!(exchanges.done(again, Reason::SUCCESS).into_vec(), [Packet::PubAck(ok(7))]);
    }

    #[test]
    fn a_refused_qos_2_message_frees_its_identifier() {
        let mut exchanges = Exchanges::default();
        let ticket = new(&mut exchanges, QoS::ExactlyOnce, 7);
        let [Packet::PubRec(ack)] = exchanges.done(ticket, Reason::NOT_AUTHORIZED)[..] else { panic!() };
        assert_eq!(ack.reason, Reason::NOT_AUTHORIZED);
        assert_eq!(exchanges.outstanding(), 0);
    }
}
