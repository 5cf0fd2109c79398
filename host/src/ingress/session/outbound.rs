//! Deliveries on their way to the device: which packet identifier each has, and what the sender's half of QoS 1 and 2
//! ([`crate::mqtt::sender`]) asks of the rest of the session.
//!
//! A delivery with a number survives a restart, and its packet identifier follows from the number: nothing but the number has
//! to be written before it is sent. Its PUBREL leaves when it is written that the device has the message. One without a number has the
//! next identifier that is free, and its PUBREL waits for nothing.

use crate::access::Permit;
use crate::base::clock;
use crate::bus::{Delivery, LeftOver};
use crate::message::{Message, QoS};
use crate::mqtt::sender::{Outgoing, Released, Reply, Rules, Sender, Step, Window, packet_id};
use crate::mqtt::{Ack, Packet, Publish, Reason};

#[derive(Debug)]
pub struct Outbound {
    sender: Sender<InFlight>,
    /// In the order of sending: a session may have deliveries with numbers of their own and without.
    next: u64,
    next_id: u16,
}

#[derive(Debug)]
struct InFlight {
    /// Of a delivery that survives a restart.
    number: Option<u64>,
    qos: QoS,
    /// Until the device has it.
    delivery: Option<Box<Delivery>>,
}

/// What an ack of the device asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Send(Packet),
    /// To be written: that the device has the message with this number. The packet follows when it is safe.
    Release(u64, Packet),
    /// The exchange has ended. With the number of what may be forgotten.
    Ended(Option<u64>),
    Nothing,
}

/// What becomes of a delivery on the next connection.
#[derive(Debug)]
pub enum Resend {
    Packet(Packet),
    /// Nothing more. With the number of what may be forgotten.
    Expired(Option<u64>),
    /// Nothing more: the device may not have it.
    Denied(Box<Delivery>),
    /// The same at QoS 2, where the device may have the identifier: what PUBREC would lead to.
    Released(Answer),
}

// === impl Outbound ===

impl Outbound {
    /// The device's Receive Maximum, or our own cap when that is lower.
    pub fn new(window: u16) -> Self {
        let mut sender = Sender::new(Rules::TO_CLIENT, u16::MAX, 0);
        sender.restart(only(window));
        Self { sender, next: 0, next_id: 1 }
    }

    /// A new connection: every message has to be sent again, by [`Outbound::next_resend`]. The PUBRELs may leave at once, but
    /// for those that wait until it is safe that the device has the message.
    pub fn resume(&mut self, window: u16) -> Vec<Packet> {
        self.sender.resume(only(window)).into_iter().map(Packet::PubRel).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.sender.is_empty()
    }

    /// For something new: never before everything old has been sent again [MQTT-4.6.0-1].
    pub fn has_room(&self) -> bool {
        self.sender.room() > 0
    }

    /// The PUBLISH for a delivery. Ask `has_room` before: QoS 1 and 2 take a place in the window.
    pub fn publish(&mut self, delivery: Delivery) -> Packet {
        // Whoever took it out of the mailbox has looked whether it has expired: what lives by a hair is sent.
        let message = delivery.message.aged(clock::since(delivery.arrived)).unwrap_or_else(|| delivery.message.clone());
        if delivery.message.qos == QoS::AtMostOnce {
            return packet(message, &delivery, 0, false);
        }
        let id = delivery.number.map_or_else(|| self.free_id(), packet_id);
        let first = packet(message, &delivery, id, false);
        self.begin(id, delivery);
        first
    }

    /// Whether the packet identifier of this delivery is free. It is, but for a device that leaves one message unanswered and
    /// takes 65,534 others meanwhile.
    pub fn has_identifier_for(&self, delivery: &Delivery) -> bool {
        delivery.number.is_none_or(|number| self.sender.is_free(packet_id(number)))
    }

    /// The first message that was sent on this connection and that the device has not acknowledged.
    pub fn oldest_unacknowledged(&self) -> Option<u16> {
        self.sender.oldest_unacknowledged()
    }

    /// Whether any message waits for its first ack, sent on this connection or not yet.
    pub fn has_unacknowledged(&self) -> bool {
        self.sender.has_unacknowledged()
    }

    /// The message with this packet identifier, while the device does not have it.
    pub fn message(&self, packet_id: u16) -> Option<&Message> {
        let delivery = self.sender.unacknowledged(packet_id)?.delivery.as_ref()?;
        Some(&delivery.message)
    }

    /// What may have been sent before a restart.
    pub fn restore(&mut self, delivery: Delivery) {
        if let Some(number) = delivery.number {
            self.begin(packet_id(number), delivery);
        }
    }

    /// What the device had before a restart.
    pub fn restore_released(&mut self, number: u64) {
        let at = self.next();
        let message = InFlight { number: Some(number), qos: QoS::ExactlyOnce, delivery: None };
        self.sender.restore_released(Released { number: at, sequence: at }, packet_id(number), Some(message));
    }

    /// The session ends: what it leaves. What is for a group and was sent at QoS 2 goes to nobody else [MQTT-4.8.2-5]; how many
    /// these are.
    pub fn end(&mut self, left_over: &mut LeftOver) -> u64 {
        let mut sent = 0;
        for InFlight { number, qos, delivery } in self.sender.drain() {
            match delivery {
                Some(delivery) if qos == QoS::AtLeastOnce => left_over.add(*delivery),
                Some(delivery) => {
                    sent += u64::from(delivery.from_group.is_some());
                    left_over.numbers.extend(number);
                }
                None => left_over.numbers.extend(number),
            }
        }
        sent
    }

    /// PUBACK ends a QoS 1 exchange, whatever its reason. PUBREC releases the message, or ends the exchange when the device refuses it.
    pub fn hear(&mut self, reply: Reply) -> Answer {
        match self.sender.hear(reply) {
            Step::Nothing | Step::Reset => Answer::Nothing,
            Step::Release(ack) => Answer::Send(Packet::PubRel(ack)),
            Step::Receive(Released { number: at, .. }) => self.received(at),
            Step::Done { message, .. } => Answer::Ended(message.and_then(|message| message.number)),
        }
    }

    /// See [`Sender::is_contradicted_by`].
    pub fn is_contradicted_by(&self, reply: Reply) -> bool {
        self.sender.is_contradicted_by(reply)
    }

    /// It is safe that the device has it.
    pub fn released(&mut self, packet_id: u16) {
        if let Some(at) = self.sender.number(packet_id) {
            self.sender.release(at);
        }
    }

    /// Forgets a message that was never sent. Its number.
    pub fn abandon(&mut self, packet_id: u16) -> Option<u64> {
        self.sender.abandon(packet_id)?.1?.number
    }

    /// The next PUBLISH that is sent again, when the window of this connection has room: the same identifier, DUP set
    /// [MQTT-4.4.0-1, MQTT-3.3.4-9].
    pub fn next_resend(&mut self, permit: &mut Permit) -> Option<Resend> {
        let (again, message) = self.sender.next_again()?;
        let (qos, delivery) = (message.qos, message.delivery.as_ref()?);
        if permit.may_receive(&delivery.message.topic) {
            return match delivery.message.aged_again(clock::since(delivery.arrived)) {
                Some(message) => Some(Resend::Packet(packet(message, delivery, again.packet_id, again.dup))),
                None => Some(Resend::Expired(self.abandon(again.packet_id))),
            };
        }
        self.deny(again.packet_id, qos)
    }

    /// An exchange of QoS 2 goes on without its message: forgotten, its identifier would stand for another one, which the device might take
    /// for a repetition of this.
    fn deny(&mut self, packet_id: u16, qos: QoS) -> Option<Resend> {
        if qos == QoS::ExactlyOnce {
            let received = Reply::PubRec(Ack { packet_id, reason: Reason::SUCCESS });
            return Some(Resend::Released(self.hear(received)));
        }
        let delivery = self.sender.abandon(packet_id)?.1?.delivery?;
        Some(Resend::Denied(delivery))
    }

    fn received(&mut self, at: u64) -> Answer {
        match self.sender.message(at).and_then(|message| message.number) {
            Some(number) => Answer::Release(number, release(packet_id(number))),
            None => self.sender.release(at).map_or(Answer::Nothing, |ack| Answer::Send(Packet::PubRel(ack))),
        }
    }

    fn begin(&mut self, packet_id: u16, delivery: Delivery) {
        let at = self.next();
        let (number, qos) = (delivery.number, delivery.message.qos);
        self.sender.begin(at, packet_id, InFlight { number, qos, delivery: Some(Box::new(delivery)) });
    }

    fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Identifiers go round and skip those in use; there are more of them than places in the window.
    fn free_id(&mut self) -> u16 {
        loop {
            let id = self.next_id;
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if self.sender.is_free(id) {
                return id;
            }
        }
    }
}

// === impl Answer ===

impl Answer {
    pub fn may_be_to_a_wrong_ack(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Send(Packet::PubRel(ack)) => ack.reason == Reason::PACKET_IDENTIFIER_NOT_FOUND,
            _ => false,
        }
    }
}

// === impl InFlight ===

impl Outgoing for InFlight {
    fn qos(&self) -> QoS {
        self.qos
    }

    fn received(&mut self) {
        self.delivery = None;
    }
}

/// A device has one limit for both.
fn only(window: u16) -> Window {
    Window { all: window, exactly_once: window }
}

fn packet(message: Message, delivery: &Delivery, packet_id: u16, dup: bool) -> Packet {
    let mut publish = Publish::outgoing(message, packet_id, dup);
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
        let releases = outbound.resume(u16::MAX);
        let publishes =
            std::iter::from_fn(|| outbound.next_resend(&mut Permit::default())).map(|resend| match resend {
                Resend::Packet(packet) => packet,
                expired => panic!("{expired:?}"),
            });
        releases.into_iter().chain(publishes).map(line).collect()
    }

    #[test]
    fn the_window_counts_qos_1_and_2_until_they_are_complete() {
        let mut outbound = Outbound::new(2);
        outbound.publish(delivery(QoS::AtMostOnce));
        outbound.publish(delivery(QoS::AtLeastOnce));
        assert!(outbound.has_room());
        outbound.publish(delivery(QoS::ExactlyOnce));
        assert!(!outbound.has_room());
        assert!(matches!(outbound.hear(Reply::PubRec(ok(2))), Answer::Send(_)));
        assert!(!outbound.has_room());
        assert_eq!(outbound.hear(Reply::PubComp(ok(2))), Answer::Ended(None));
        assert!(outbound.has_room());
    }

    #[test]
    fn what_is_unfinished_is_sent_again_in_order_with_the_same_identifiers() {
        let mut outbound = Outbound::new(u16::MAX);
        for qos in [QoS::ExactlyOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            outbound.publish(delivery(qos));
        }
        outbound.hear(Reply::PubRec(ok(1)));
        assert_eq!(resent(&mut outbound), [("pubrel", 1, false), ("publish", 2, true), ("publish", 3, true)]);
    }

    #[test]
    fn pubrels_are_sent_again_in_the_order_of_their_pubrecs() {
        let mut outbound = Outbound::new(u16::MAX);
        (0..2).for_each(|_| _ = outbound.publish(delivery(QoS::ExactlyOnce)));
        [2, 1].into_iter().for_each(|id| _ = outbound.hear(Reply::PubRec(ok(id))));
        assert_eq!(resent(&mut outbound), [("pubrel", 2, false), ("pubrel", 1, false)]);
    }

    #[test]
    fn what_is_sent_again_keeps_to_the_window_of_the_new_connection_and_goes_before_anything_new() {
        let mut outbound = Outbound::new(u16::MAX);
        (0..3).for_each(|_| _ = outbound.publish(delivery(QoS::AtLeastOnce)));
        let again = |outbound: &mut Outbound| outbound.next_resend(&mut Permit::default()).is_some();
        outbound.resume(2);
        assert!(again(&mut outbound) && again(&mut outbound));
        assert!(!again(&mut outbound) && !outbound.has_room());
        assert_eq!(outbound.hear(Reply::PubAck(ok(1))), Answer::Ended(None));
        assert!(again(&mut outbound));
        assert_eq!(outbound.hear(Reply::PubAck(ok(2))), Answer::Ended(None));
        assert!(outbound.has_room());
    }

    #[test]
    fn an_ack_of_the_wrong_kind_contradicts_its_exchange_and_others_do_not() {
        let mut outbound = Outbound::new(u16::MAX);
        outbound.publish(delivery(QoS::AtLeastOnce));
        outbound.publish(delivery(QoS::ExactlyOnce));
        let wrong = [Reply::PubRec(ok(1)), Reply::PubComp(ok(1)), Reply::PubAck(ok(2)), Reply::PubComp(ok(2))];
        assert!(wrong.iter().all(|reply| outbound.is_contradicted_by(*reply)));
        let fine = [Reply::PubAck(ok(1)), Reply::PubRec(ok(2)), Reply::PubAck(ok(9)), Reply::PubComp(ok(9))];
        assert!(!fine.iter().any(|reply| outbound.is_contradicted_by(*reply)));
        outbound.hear(Reply::PubRec(ok(2)));
        assert!(outbound.is_contradicted_by(Reply::PubAck(ok(2))));
        assert!(
            !outbound.is_contradicted_by(Reply::PubRec(ok(2))) && !outbound.is_contradicted_by(Reply::PubComp(ok(2)))
        );
    }

    #[test]
    fn an_ack_of_the_wrong_kind_ends_nothing() {
        let mut outbound = Outbound::new(u16::MAX);
        outbound.publish(delivery(QoS::AtLeastOnce));
        outbound.publish(delivery(QoS::ExactlyOnce));
        for wrong in [Reply::PubAck(ok(2)), Reply::PubComp(ok(1)), Reply::PubComp(ok(2))] {
            assert_eq!(outbound.hear(wrong), Answer::Nothing);
        }
        let Answer::Send(Packet::PubRel(ack)) = outbound.hear(Reply::PubRec(ok(1))) else { panic!() };
        assert_eq!(ack.reason, Reason::PACKET_IDENTIFIER_NOT_FOUND);
        assert_eq!(resent(&mut outbound).len(), 2);
    }

    #[test]
    fn a_device_that_refuses_ends_the_flight() {
        let mut outbound = Outbound::new(u16::MAX);
        outbound.publish(delivery(QoS::ExactlyOnce));
        let refusal = Ack { packet_id: 1, reason: Reason::QUOTA_EXCEEDED };
        assert_eq!(outbound.hear(Reply::PubRec(refusal)), Answer::Ended(None));
        assert_eq!(resent(&mut outbound), []);
    }

    #[test]
    fn identifiers_in_use_are_skipped_when_they_come_round() {
        let mut outbound = Outbound::new(u16::MAX);
        outbound.publish(delivery(QoS::AtLeastOnce));
        outbound.next_id = u16::MAX;
        outbound.publish(delivery(QoS::AtLeastOnce));
        outbound.publish(delivery(QoS::AtLeastOnce));
        let ids: Vec<u16> = resent(&mut outbound).into_iter().map(|line| line.1).collect();
        assert_eq!(ids, [1, u16::MAX, 2]);
    }

    #[test]
    fn the_identifier_of_a_numbered_delivery_follows_from_its_number_and_its_pubrel_waits() {
        let mut outbound = Outbound::new(u16::MAX);
        let number = Some((7 << 32) + 4);
        outbound.publish(Delivery { number, ..delivery(QoS::ExactlyOnce) });
        let [("publish", packet_id, true)] = resent(&mut outbound)[..] else { panic!() };
        assert_eq!(u64::from(packet_id), ((7 << 32) + 4) % 65_535 + 1);
        assert!(
            !outbound
                .has_identifier_for(&Delivery { number: number.map(|n| n + 65_535), ..delivery(QoS::AtLeastOnce) })
        );
        assert_eq!(outbound.hear(Reply::PubRec(ok(packet_id))), Answer::Release((7 << 32) + 4, release(packet_id)));
        assert_eq!((resent(&mut outbound), outbound.hear(Reply::PubRec(ok(packet_id)))), (vec![], Answer::Nothing));
        outbound.released(packet_id);
        assert_eq!(resent(&mut outbound), [("pubrel", packet_id, false)]);
        assert_eq!(outbound.hear(Reply::PubComp(ok(packet_id))), Answer::Ended(number));
    }
}
