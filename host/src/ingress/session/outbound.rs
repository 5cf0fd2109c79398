//! QoS 1 and 2 from us to the device: packet identifiers, the window, and what is sent again after a reconnect.
//!
//! ```text
//! QoS 1:  PUBLISH ─▶ PUBACK
//! QoS 2:  PUBLISH ─▶ PUBREC ─▶ PUBREL ─▶ PUBCOMP      after PUBREC only PUBREL is ever sent
//! ```
//!
//! A delivery with a number survives a restart, and its packet identifier follows from the number: nothing but the number has
//! to be written before it is sent. Its PUBREL leaves when it is written that the device has the message.

use std::collections::VecDeque;

use crate::base::clock;
use crate::bus::{Delivery, LeftOver};
use crate::message::{Message, QoS};
use crate::mqtt::{Ack, Packet, Publish, Reason};

#[derive(Debug)]
pub struct Outbound {
    /// In the order of sending, which is the order of sending again [MQTT-4.6.0-1].
    flights: VecDeque<Flight>,
    /// Of them, those that were sent on an earlier connection and not yet again on this one.
    unsent: usize,
    window: u16,
    next_id: u16,
}

#[derive(Debug)]
struct Flight {
    packet_id: u16,
    /// Of a delivery that survives a restart.
    number: Option<u64>,
    stage: Stage,
    sent: bool,
}

#[derive(Debug)]
enum Stage {
    Published(Box<Delivery>),
    /// The device has it; that is being written down, and PUBREL follows.
    Releasing,
    Released,
}

/// What a PUBREC of the device asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    Answer(Packet),
    /// To be written: that the device has the message with this number. The packet follows when it is safe.
    Release(u64, Packet),
    /// The flight has ended. With the number of what may be forgotten.
    Ended(Option<u64>),
    Nothing,
}

// === impl Outbound ===

impl Default for Outbound {
    fn default() -> Self {
        Self { flights: VecDeque::new(), unsent: 0, window: u16::MAX, next_id: 1 }
    }
}

impl Outbound {
    /// The device's Receive Maximum, or our own cap when that is lower.
    pub fn set_window(&mut self, window: u16) {
        self.window = window;
    }

    pub fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    /// For something new: never before everything old has been sent again [MQTT-4.6.0-1].
    pub fn has_room(&self) -> bool {
        self.unsent == 0 && self.flights.len() < usize::from(self.window)
    }

    /// The PUBLISH for a delivery. Ask `has_room` before: QoS 1 and 2 take a place in the window.
    pub fn publish(&mut self, delivery: Delivery) -> Packet {
        if delivery.message.qos == QoS::AtMostOnce {
            return packet(&delivery, 0, false);
        }
        let packet_id = delivery.number.map_or_else(|| self.free_id(), identifier);
        let first = packet(&delivery, packet_id, false);
        self.fly(packet_id, delivery.number, Stage::Published(Box::new(delivery)));
        first
    }

    /// Whether the packet identifier of this delivery is free. It is, but for a device that leaves one message unanswered and
    /// takes 65,534 others meanwhile.
    pub fn has_identifier_for(&self, delivery: &Delivery) -> bool {
        let taken = |number| self.flights.iter().any(|flight| flight.packet_id == identifier(number));
        !delivery.number.is_some_and(taken)
    }

    /// The first message that was sent on this connection and that the device has not acknowledged.
    pub fn oldest_unacknowledged(&self) -> Option<u16> {
        let waits = |flight: &&Flight| flight.sent && matches!(flight.stage, Stage::Published(_));
        self.flights.iter().find(waits).map(|flight| flight.packet_id)
    }

    /// Whether any message waits for its first ack, sent on this connection or not yet.
    pub fn has_unacknowledged(&self) -> bool {
        self.flights.iter().any(|flight| matches!(flight.stage, Stage::Published(_)))
    }

    /// The message with this packet identifier, while the device does not have it.
    pub fn message(&self, packet_id: u16) -> Option<&Message> {
        self.flights.iter().find_map(|flight| match &flight.stage {
            Stage::Published(delivery) if flight.packet_id == packet_id => Some(&delivery.message),
            _ => None,
        })
    }

    /// What may have been sent before a restart.
    pub fn restore(&mut self, delivery: Delivery) {
        if let Some(number) = delivery.number {
            self.fly(identifier(number), Some(number), Stage::Published(Box::new(delivery)));
        }
    }

    /// What the device had before a restart.
    pub fn restore_released(&mut self, number: u64) {
        self.fly(identifier(number), Some(number), Stage::Released);
    }

    /// The session ends: what it leaves. What is for a group and was sent at QoS 2 goes to nobody else [MQTT-4.8.2-5]; how many
    /// these are.
    pub fn end(&mut self, left_over: &mut LeftOver) -> u64 {
        let mut sent = 0;
        for flight in self.flights.drain(..) {
            match flight.stage {
                Stage::Published(delivery) if delivery.message.qos == QoS::AtLeastOnce => left_over.add(*delivery),
                Stage::Published(delivery) => {
                    sent += u64::from(delivery.from_group.is_some());
                    left_over.numbers.extend(flight.number);
                }
                Stage::Releasing | Stage::Released => left_over.numbers.extend(flight.number),
            }
        }
        self.unsent = 0;
        sent
    }

    /// PUBACK ends a QoS 1 flight, whatever its reason. `None` when there was none.
    pub fn puback(&mut self, packet_id: u16) -> Option<Option<u64>> {
        self.remove(
            packet_id,
            |stage| matches!(stage, Stage::Published(delivery) if delivery.message.qos == QoS::AtLeastOnce),
        )
    }

    /// PUBREC: releases the message, or ends the flight when the device refuses it.
    pub fn pubrec(&mut self, ack: Ack) -> Received {
        let flight = self.flights.iter_mut().find(|flight| flight.packet_id == ack.packet_id && flight.is_qos_2());
        let Some(flight) = flight else {
            let reason = Reason::PACKET_IDENTIFIER_NOT_FOUND;
            let answer = Packet::PubRel(Ack { packet_id: ack.packet_id, reason });
            return if ack.reason.is_failure() { Received::Nothing } else { Received::Answer(answer) };
        };
        if ack.reason.is_failure() {
            return Received::Ended(self.remove(ack.packet_id, |_| true).flatten());
        }
        // Acknowledged before it was sent again: there is nothing left to send.
        self.unsent -= usize::from(!std::mem::replace(&mut flight.sent, true));
        let answer = release(ack.packet_id);
        match (&flight.stage, flight.number) {
            (Stage::Published(_), Some(number)) => {
                flight.stage = Stage::Releasing;
                Received::Release(number, answer)
            }
            (Stage::Releasing, _) => Received::Nothing,
            (Stage::Published(_) | Stage::Released, _) => {
                flight.stage = Stage::Released;
                Received::Answer(answer)
            }
        }
    }

    /// It is safe that the device has it.
    pub fn released(&mut self, packet_id: u16) {
        if let Some(flight) = self.flights.iter_mut().find(|flight| flight.packet_id == packet_id) {
            flight.stage = Stage::Released;
        }
    }

    /// PUBCOMP ends a QoS 2 flight. `None` when there was none.
    pub fn pubcomp(&mut self, packet_id: u16) -> Option<Option<u64>> {
        self.remove(packet_id, |stage| matches!(stage, Stage::Released))
    }

    /// Forgets a flight that was never sent.
    pub fn abandon(&mut self, packet_id: u16) -> Option<Option<u64>> {
        self.remove(packet_id, |_| true)
    }

    /// A new connection: every message has to be sent again, by [`Outbound::next_resend`]. The PUBRELs may leave at once, but
    /// for those that wait until it is safe that the device has the message.
    pub fn resume(&mut self) -> Vec<Packet> {
        let mut releases = Vec::new();
        self.unsent = 0;
        for flight in &mut self.flights {
            flight.sent = !matches!(flight.stage, Stage::Published(_));
            self.unsent += usize::from(!flight.sent);
            if matches!(flight.stage, Stage::Released) {
                releases.push(release(flight.packet_id));
            }
        }
        releases
    }

    /// The next PUBLISH that is sent again, when the window of this connection has room: the same identifier, DUP set
    /// [MQTT-4.4.0-1, MQTT-3.3.4-9].
    pub fn next_resend(&mut self) -> Option<Packet> {
        if self.flights.len() - self.unsent >= usize::from(self.window) {
            return None;
        }
        let flight = self.flights.iter_mut().find(|flight| !flight.sent)?;
        let Stage::Published(delivery) = &flight.stage else { return None };
        flight.sent = true;
        self.unsent -= 1;
        Some(packet(delivery, flight.packet_id, true))
    }

    fn fly(&mut self, packet_id: u16, number: Option<u64>, stage: Stage) {
        self.flights.push_back(Flight { packet_id, number, stage, sent: true });
    }

    /// The number of the flight that ended, when one did.
    fn remove(&mut self, packet_id: u16, fits: impl Fn(&Stage) -> bool) -> Option<Option<u64>> {
        let at = self.flights.iter().position(|flight| flight.packet_id == packet_id && fits(&flight.stage));
        let flight = at.and_then(|at| self.flights.remove(at))?;
        self.unsent -= usize::from(!flight.sent);
        Some(flight.number)
    }

    /// Identifiers go round and skip those in use; there are more of them than places in the window.
    fn free_id(&mut self) -> u16 {
        loop {
            let id = self.next_id;
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if !self.flights.iter().any(|flight| flight.packet_id == id) {
                return id;
            }
        }
    }
}

impl Flight {
    fn is_qos_2(&self) -> bool {
        match &self.stage {
            Stage::Published(delivery) => delivery.message.qos == QoS::ExactlyOnce,
            Stage::Releasing | Stage::Released => true,
        }
    }
}

/// Any 65,535 numbers in a row have different ones; 0 is not an identifier [MQTT-2.2.1-4].
fn identifier(number: u64) -> u16 {
    (number % u64::from(u16::MAX)) as u16 + 1
}

fn packet(delivery: &Delivery, packet_id: u16, dup: bool) -> Packet {
    let aged: Option<Message> = delivery.message.aged(clock::since(delivery.arrived));
    let mut publish = Publish::outgoing(aged.unwrap_or_else(|| delivery.message.clone()), packet_id, dup);
    publish.subscription_ids.clone_from(&delivery.subscription_ids);
    Packet::Publish(publish)
}

fn release(packet_id: u16) -> Packet {
    Packet::PubRel(Ack { packet_id, reason: Reason::SUCCESS })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::topic::TopicName;

    fn delivery(qos: QoS) -> Delivery {
        let message = Message::new(TopicName::parse("t").unwrap(), "x", qos);
        Delivery {
            is_replay: false,
            message,
            subscription_ids: vec![],
            arrived: Instant::now(),
            number: None,
            share: None,
            from_group: None,
        }
    }

    fn ok(packet_id: u16) -> Ack {
        Ack { packet_id, reason: Reason::SUCCESS }
    }

    /// Identifier and DUP of each PUBLISH, identifier of each PUBREL.
    fn resent(outbound: &mut Outbound) -> Vec<(&'static str, u16, bool)> {
        let line = |packet| match packet {
            Packet::Publish(publish) => ("publish", publish.packet_id, publish.dup),
            Packet::PubRel(ack) => ("pubrel", ack.packet_id, false),
            other => panic!("{other:?}"),
        };
        let releases = outbound.resume();
        releases.into_iter().chain(std::iter::from_fn(|| outbound.next_resend())).map(line).collect()
    }

    #[test]
    fn the_window_counts_qos_1_and_2_until_they_are_complete() {
        let mut outbound = Outbound::default();
        outbound.set_window(2);
        outbound.publish(delivery(QoS::AtMostOnce));
        outbound.publish(delivery(QoS::AtLeastOnce));
        assert!(outbound.has_room());
        outbound.publish(delivery(QoS::ExactlyOnce));
        assert!(!outbound.has_room());
        assert!(matches!(outbound.pubrec(ok(2)), Received::Answer(_)));
        assert!(!outbound.has_room());
        assert_eq!(outbound.pubcomp(2), Some(None));
        assert!(outbound.has_room());
    }

    #[test]
    fn what_is_unfinished_is_sent_again_in_order_with_the_same_identifiers() {
        let mut outbound = Outbound::default();
        for qos in [QoS::ExactlyOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            outbound.publish(delivery(qos));
        }
        outbound.pubrec(ok(1));
        assert_eq!(resent(&mut outbound), [("pubrel", 1, false), ("publish", 2, true), ("publish", 3, true)]);
    }

    #[test]
    fn what_is_sent_again_keeps_to_the_window_of_the_new_connection_and_goes_before_anything_new() {
        let mut outbound = Outbound::default();
        (0..3).for_each(|_| _ = outbound.publish(delivery(QoS::AtLeastOnce)));
        outbound.set_window(2);
        outbound.resume();
        assert!(outbound.next_resend().is_some() && outbound.next_resend().is_some());
        assert!(outbound.next_resend().is_none() && !outbound.has_room());
        assert!(outbound.puback(1).is_some());
        assert!(outbound.next_resend().is_some());
        assert!(outbound.puback(2).is_some() && outbound.has_room());
    }

    #[test]
    fn an_ack_of_the_wrong_kind_ends_nothing() {
        let mut outbound = Outbound::default();
        outbound.publish(delivery(QoS::AtLeastOnce));
        outbound.publish(delivery(QoS::ExactlyOnce));
        assert_eq!([outbound.puback(2), outbound.pubcomp(1), outbound.pubcomp(2)], [None; 3]);
        let Received::Answer(Packet::PubRel(ack)) = outbound.pubrec(ok(1)) else { panic!() };
        assert_eq!(ack.reason, Reason::PACKET_IDENTIFIER_NOT_FOUND);
        assert_eq!(resent(&mut outbound).len(), 2);
    }

    #[test]
    fn a_device_that_refuses_ends_the_flight() {
        let mut outbound = Outbound::default();
        outbound.publish(delivery(QoS::ExactlyOnce));
        assert_eq!(outbound.pubrec(Ack { packet_id: 1, reason: Reason::QUOTA_EXCEEDED }), Received::Ended(None));
        assert_eq!(resent(&mut outbound), []);
    }

    #[test]
    fn identifiers_in_use_are_skipped_when_they_come_round() {
        let mut outbound = Outbound::default();
        outbound.publish(delivery(QoS::AtLeastOnce));
        outbound.next_id = u16::MAX;
        outbound.publish(delivery(QoS::AtLeastOnce));
        outbound.publish(delivery(QoS::AtLeastOnce));
        let ids: Vec<u16> = resent(&mut outbound).into_iter().map(|line| line.1).collect();
        assert_eq!(ids, [1, u16::MAX, 2]);
    }

    #[test]
    fn the_identifier_of_a_numbered_delivery_follows_from_its_number_and_its_pubrel_waits() {
        let mut outbound = Outbound::default();
        let number = Some((7 << 32) + 4);
        outbound.publish(Delivery { number, ..delivery(QoS::ExactlyOnce) });
        let [("publish", packet_id, true)] = resent(&mut outbound)[..] else { panic!() };
        assert_eq!(u64::from(packet_id), ((7 << 32) + 4) % 65_535 + 1);
        assert!(
            !outbound
                .has_identifier_for(&Delivery { number: number.map(|n| n + 65_535), ..delivery(QoS::AtLeastOnce) })
        );
        assert_eq!(outbound.pubrec(ok(packet_id)), Received::Release((7 << 32) + 4, release(packet_id)));
        assert_eq!((resent(&mut outbound), outbound.pubrec(ok(packet_id))), (vec![], Received::Nothing));
        outbound.released(packet_id);
        assert_eq!(resent(&mut outbound), [("pubrel", packet_id, false)]);
        assert_eq!(outbound.pubcomp(packet_id), Some(number));
    }
}
