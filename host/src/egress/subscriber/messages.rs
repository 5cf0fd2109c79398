//! A PUBLISH of the upstream, and what is to be done about it.

use std::sync::Arc;

use super::Subscriber;
use crate::base::clock::{self, unix_ms};
use crate::base::excerpt::Excerpt;
use crate::bindings::Inbound;
use crate::message::{Message, Origin, QoS};
use crate::mqtt::receiver::{Arrival, Packets};
use crate::mqtt::{Ack, Packet, Publish, Reason, Version};
use crate::spool::{Change, Receipt};
use crate::topic::TopicName;

/// So many times our Receive Maximum may be open: with a new connection a server of MQTT 5 may count anew beside what it releases.
const OPEN_OF_V5: usize = 2;
/// A server of 3.1.1 is not told. Those that have a limit have one of 10 to 100.
const OPEN_OF_V311: usize = 10;

/// Why the connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More messages than it may have sent, without our acks.
    TooMany,
    /// A new message under an identifier whose PUBREL has no answer.
    BeingReleased,
}

impl Subscriber {
    /// The acks that can leave at once: usually none.
    pub fn receive(&mut self, publish: Publish) -> Result<Packets, Refusal> {
        let Publish { qos, packet_id, retain, payload, properties, topic, is_too_deep, .. } = publish;
        let Some(topic) = topic.filter(|_| !is_too_deep) else {
            return Ok(self.unusable(qos, packet_id, Reason::TOPIC_NAME_INVALID));
        };
        let mut message = Message { topic, payload, qos, retain, properties };
        message.unpin();
        // Whether it is another gateway that sent it there, nobody says: so each crossing counts, and a ring ends.
        message.cross();
        if qos == QoS::AtMostOnce {
            self.receive_qos0(message);
            return Ok(Packets::new());
        }
        if self.closing.is_cancelled() {
            // It is sent again, to the next process.
            return Ok(Packets::new());
        }
        if self.receiver.is_new(qos, packet_id) && self.receiver.outstanding() >= self.most_open() {
            return Err(Refusal::TooMany);
        }
        match self.receiver.arrive(qos, packet_id) {
            Arrival::New { ticket } => {
                let identity = (qos == QoS::ExactlyOnce).then(|| self.exchanges.put(packet_id));
                self.submit(message, Receipt::new(ticket, self.resolved.clone()), identity);
                Ok(Packets::new())
            }
            Arrival::InProgress => Ok(Packets::new()),
            Arrival::BeingReleased => Err(Refusal::BeingReleased),
            Arrival::Repeated => Ok(one(Packet::PubRec(Ack { packet_id, reason: Reason::SUCCESS }))),
        }
    }

    /// One that cannot be taken: answered, counted, told once in a while, and gone. The server would send it for ever.
    pub fn unusable(&mut self, qos: QoS, packet_id: u16, reason: Reason) -> Packets {
        self.metrics.received_invalid.increment();
        if let Some(suppressed) = self.complaints.permit() {
            let (upstream, most) = (&*self.upstream, self.max_packet_size);
            let why = match reason {
                Reason::TOPIC_NAME_INVALID => "its topic has too many levels, or none".to_owned(),
                Reason::QUOTA_EXCEEDED => format!("it is larger than {most} bytes (`broker.limits.max_packet_size`)"),
                _ => "it is malformed".to_owned(),
            };
            tracing::warn!(upstream, suppressed, "a message of the upstream was not taken, and is acknowledged: {why}");
        }
        if qos == QoS::AtMostOnce {
            return Packets::new();
        }
        match self.receiver.arrive(qos, packet_id) {
            Arrival::New { ticket } => {
                let answer = self.in_its_version(reason);
                self.receiver.done(ticket, answer)
            }
            // One that was taken before under this identifier has its own answer.
            _ => Packets::new(),
        }
    }

    /// 3.1.1 has no reasons.
    pub(super) fn in_its_version(&self, reason: Reason) -> Reason {
        if self.protocol == Version::V5 { reason } else { Reason::SUCCESS }
    }

    /// It waits where there is room, and goes where there is none: nobody was promised anything.
    fn receive_qos0(&mut self, message: Message) {
        if self.closing.is_cancelled() {
            return;
        }
        if self.parked.is_full() {
            self.metrics.received.increment();
            self.dispatcher.counters().dropped_full.increment();
            if let Some(suppressed) = self.complaints.permit() {
                let upstream = &*self.upstream;
                tracing::warn!(
                    upstream,
                    suppressed,
                    "QoS 0 of the upstream dropped: its bindings have no place for it"
                );
            }
            return;
        }
        self.submit(message, Receipt::none(), None);
    }

    fn submit(&mut self, message: Message, receipt: Receipt, identity: Option<Change>) {
        self.metrics.received.increment();
        let (origin, topic) = (self.origin(), message.topic.clone());
        let (arrived, changes) = (clock::now(), identity.into_iter().collect());
        let inbound = Inbound { message, origin, arrived, receipt, changes, attempts: 0, caused: None };
        let (pending, is_wanted) = self.dispatcher.receive_from(self.id, inbound);
        if !is_wanted {
            self.tell_unwanted(&topic);
        }
        if let Some(pending) = pending {
            self.parked.submit(pending);
        }
    }

    fn tell_unwanted(&self, topic: &TopicName) {
        if let Some(suppressed) = self.unwanted.permit() {
            let (upstream, topic) = (&*self.upstream, Excerpt(topic.as_str()));
            tracing::warn!(
                upstream,
                ?topic,
                suppressed,
                "the upstream sends what no binding takes (`unmatched`): it is acknowledged, and goes nowhere"
            );
        }
    }

    fn most_open(&self) -> usize {
        let times = if self.protocol == Version::V5 { OPEN_OF_V5 } else { OPEN_OF_V311 };
        usize::from(self.receive_maximum).saturating_mul(times)
    }

    /// One for all messages of a millisecond.
    fn origin(&mut self) -> Arc<Origin> {
        let now = unix_ms();
        if self.origin.arrived_ms != now {
            self.origin = Arc::new(Origin { arrived_ms: now, ..(*self.origin).clone() });
        }
        self.origin.clone()
    }
}

fn one(packet: Packet) -> Packets {
    [packet].into_iter().collect()
}
