//! A packet of the device, and what is to be done about it.

use smallvec::smallvec;

use super::outbound::Answer;
use super::*;
use crate::base::fault::{self, Fault};
use crate::message::QoS;
use crate::mqtt::receiver::Arrival;
use crate::mqtt::sender::Reply;
use crate::mqtt::{Ack, Publish};

/// A device of MQTT 3.1.1 cannot be told our Receive Maximum, and some send all that they have before they read an ack. So they
/// may have so many times as many QoS 2 exchanges open; each is written, and one that is never released is kept as long as its
/// session.
const OPEN_QOS_2_OF_V311: usize = 10;

impl Session {
    /// Everything but CONNECT, which the handshake has taken.
    pub fn receive(&mut self, packet: Packet) -> Result<Actions, Violation> {
        Ok(match packet {
            Packet::Publish(publish) => return self.publish(publish),
            Packet::PubAck(ack) => return self.replied(Reply::PubAck(ack)),
            Packet::PubRec(ack) => return self.replied(Reply::PubRec(ack)),
            Packet::PubComp(ack) => return self.replied(Reply::PubComp(ack)),
            Packet::PubRel(ack) => self.release(ack.packet_id).into_iter().collect(),
            Packet::Subscribe(subscribe) => smallvec![Action::Subscribe(subscribe)],
            Packet::Unsubscribe(unsubscribe) => smallvec![Action::Unsubscribe(unsubscribe)],
            Packet::PingReq => smallvec![Action::Send(Packet::PingResp)],
            Packet::Disconnect(disconnect) => smallvec![Action::Leave {
                // Success alone takes it back [MQTT-3.14.4-3]: a device that leaves because of an error leaves its will.
                with_will: disconnect.reason != Reason::SUCCESS,
                is_failure: disconnect.reason.is_failure(),
                session_expiry: disconnect.session_expiry,
            }],
            _ => {
                return Err(violation(
                    Reason::PROTOCOL_ERROR,
                    "a packet that only a server sends, or a second CONNECT",
                ));
            }
        })
    }

    fn publish(&mut self, publish: Publish) -> Result<Actions, Violation> {
        if !publish.subscription_ids.is_empty() {
            return Err(violation(Reason::PROTOCOL_ERROR, "a subscription identifier from a client [MQTT-3.3.4-6]"));
        }
        if publish.is_too_deep {
            return self.deny(publish.qos, publish.packet_id, Denial::TooDeep, Reason::TOPIC_NAME_INVALID);
        }
        let topic = (self.link.aliases.resolve(publish.topic, publish.topic_alias))
            .map_err(|reason| violation(reason, "a topic alias that was not set or is out of range"))?;
        let (qos, packet_id, retain) = (publish.qos, publish.packet_id, publish.retain);
        if is_gateways_own(&topic) {
            return self.deny(qos, packet_id, Denial::GatewaysOwn(topic), Reason::NOT_AUTHORIZED);
        }
        if !self.link.permit.may_publish(&topic) {
            return self.deny_by_rules(qos, packet_id, topic);
        }
        let message = Message { topic, payload: publish.payload, qos, retain, properties: publish.properties };
        if qos == QoS::AtMostOnce {
            return Ok(smallvec![Action::Accept { message, receipt: Receipt::none(), identity: None }]);
        }
        // Before it is filed: an identifier that is refused has to be a new one when the device sends it again.
        if self.receiver.is_new(qos, packet_id) {
            self.check_quota(qos)?;
        }
        match self.receiver.arrive(qos, packet_id) {
            Arrival::New { ticket } => {
                let receipt = Receipt::new(ticket, self.resolved.clone());
                let identity = if qos == QoS::ExactlyOnce { self.identity(packet_id) } else { None };
                Ok(smallvec![Action::Accept { message, receipt, identity }])
            }
            known => begun(known, packet_id),
        }
    }

    /// A device of MQTT 3.1.1 cannot be told, but by the end of its connection.
    fn deny_by_rules(&mut self, qos: QoS, packet_id: u16, topic: TopicName) -> Result<Actions, Violation> {
        let (denial, reason) = (Denial::Rules(topic), Reason::NOT_AUTHORIZED);
        if self.link.version == Version::V5 || !self.link.permit.disconnects() {
            return self.deny(qos, packet_id, denial, reason);
        }
        let violation = violation(reason, "published to a topic that the access rules deny (`denied_publish`)");
        Ok([Action::Denied(denial), Action::Close(violation)].into_iter().collect())
    }

    /// Answered, and goes nowhere.
    fn deny(&mut self, qos: QoS, packet_id: u16, denial: Denial, reason: Reason) -> Result<Actions, Violation> {
        if qos == QoS::AtMostOnce {
            return Ok(smallvec![Action::Denied(denial)]);
        }
        match self.receiver.arrive(qos, packet_id) {
            Arrival::New { ticket } => {
                // 3.1.1 has no reason to give: the message is acknowledged all the same 3.1.1 [MQTT-3.3.5-2].
                let answer = if self.link.version == Version::V5 { reason } else { Reason::SUCCESS };
                let acks = self.receiver.done(ticket, answer);
                Ok(acks.into_iter().map(Action::Send).chain([Action::Denied(denial)]).collect())
            }
            known => begun(known, packet_id),
        }
    }

    fn replied(&mut self, reply: Reply) -> Result<Actions, Violation> {
        let answer = self.outbound.hear(reply);
        // Such an ack changes nothing, and at most is answered as one for no message. MQTT 5 [MQTT-4.13.1-1], 3.1.1 [MQTT-4.8.0-1].
        if answer.may_be_to_a_wrong_ack() && self.outbound.is_contradicted_by(reply) {
            return Err(violation(Reason::PROTOCOL_ERROR, WRONG_ACK));
        }
        Ok(match answer {
            Answer::Send(packet) => smallvec![Action::Send(packet)],
            Answer::Release(number, packet) => {
                let receipt = self.hold(packet);
                smallvec![Action::Store(self.delivered(number), receipt)]
            }
            Answer::Ended(number) => {
                self.finish(number);
                Actions::new()
            }
            Answer::Nothing => Actions::new(),
        })
    }

    /// Nothing while what its message causes is not safe: then the answer follows PUBREC, by [`Session::take_releases`].
    pub fn release(&mut self, packet_id: u16) -> Option<Action> {
        let answer = Packet::PubComp(self.receiver.release(packet_id)?);
        Some(match self.is_durable() {
            false => Action::Send(answer),
            true => Action::Store(self.released(packet_id), self.hold(answer)),
        })
    }

    /// Of the identifiers that were released before their PUBREC was sent, those whose PUBREC has been sent now.
    pub fn take_releases(&mut self) -> Vec<u16> {
        self.receiver.take_releases()
    }

    /// Whether there is room for one more exchange.
    fn check_quota(&self, qos: QoS) -> Result<(), Violation> {
        let maximum = usize::from(self.link.receive_maximum);
        match self.link.version {
            Version::V5 if self.receiver.outstanding() >= maximum => {
                Err(violation(Reason::RECEIVE_MAXIMUM_EXCEEDED, "more unacknowledged messages than CONNACK allows"))
            }
            Version::V311 if fault::is_on(Fault::IdentitiesUnbounded) => Ok(()),
            Version::V311 if qos == QoS::ExactlyOnce && self.receiver.open_qos_2() >= maximum * OPEN_QOS_2_OF_V311 => {
                Err(violation(
                    Reason::RECEIVE_MAXIMUM_EXCEEDED,
                    "more QoS 2 messages without PUBREL than ten times broker.limits.receive_maximum",
                ))
            }
            _ => Ok(()),
        }
    }
}

/// Why a connection ends on an ack. It is about one delivery, on which the next connection may end as well.
pub const WRONG_ACK: &str = "an ack of another kind than its message asks for";

/// Whether only the gateway may publish there.
pub fn is_gateways_own(topic: &TopicName) -> bool {
    topic.is_gateways_own()
}

/// A PUBLISH of an exchange that has begun.
fn begun(arrival: Arrival, packet_id: u16) -> Result<Actions, Violation> {
    match arrival {
        Arrival::New { .. } | Arrival::InProgress => Ok(smallvec![]),
        Arrival::BeingReleased => {
            Err(violation(Reason::PROTOCOL_ERROR, "a PUBLISH under an identifier whose PUBREL has no answer yet"))
        }
        Arrival::Repeated => Ok(smallvec![Action::Send(Packet::PubRec(Ack { packet_id, reason: Reason::SUCCESS }))]),
    }
}

fn violation(reason: Reason, detail: &'static str) -> Violation {
    Violation { reason, detail }
}
