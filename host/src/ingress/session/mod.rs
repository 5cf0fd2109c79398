//! The session of one device: what MQTT says must happen, without sockets and clocks.
//!
//! Packets and events go in, [`Action`]s come out; [`super::connection`] carries them out. A session outlives its connections
//! when the device asks for it: [`super::registry`] keeps it meanwhile.
//!
//! | question | file |
//! |---|---|
//! | where is QoS 2 deduplicated, who acks and in which order | [`exchanges`] |
//! | what is sent to the device again after a reconnect | [`outbound`] |
//! | what does a topic alias stand for | [`alias`] |

mod alias;
mod exchanges;
mod outbound;
mod subscriptions;

use std::sync::Arc;

use tokio::sync::mpsc;

use alias::Aliases;
pub use alias::TOPIC_ALIAS_MAXIMUM;
use exchanges::{Arrival, Exchanges};
use outbound::Outbound;
pub use subscriptions::Subscriptions;

use super::codec::{Ack, Packet, Publish, Reason, Subscribe, Unsubscribe, Version};
use crate::bus::{Delivery, Mailbox};
use crate::message::{Message, QoS};
use crate::spool::Receipt;
use crate::topic::TopicName;

#[derive(Debug)]
pub struct Session {
    client: Arc<str>,
    mailbox: Arc<Mailbox>,
    pub subscriptions: Subscriptions,
    exchanges: Exchanges,
    outbound: Outbound,
    done: (mpsc::UnboundedSender<u64>, mpsc::UnboundedReceiver<u64>),
    link: Link,
}

/// What was agreed for the present connection.
#[derive(Debug)]
pub struct Link {
    pub version: Version,
    /// Ours, as CONNACK told the device.
    pub receive_maximum: u16,
    /// The device's.
    pub peer_receive_maximum: u16,
    aliases: Aliases,
}

/// What the connection has to do.
#[derive(Debug)]
pub enum Action {
    Send(Packet),
    /// A message was accepted: hand it on, with this receipt.
    Accept {
        message: Message,
        receipt: Receipt,
    },
    /// A message for a topic that belongs to the gateway: answered by the session, counted by the connection.
    Denied(TopicName),
    /// Carry out [`Subscriptions::subscribe`] and send the SUBACK.
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    /// The device said good-bye.
    Leave {
        with_will: bool,
        session_expiry: Option<u32>,
    },
}

/// Why a connection must end now. For MQTT 5 the reason goes into a DISCONNECT.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Violation {
    pub reason: Reason,
    pub detail: &'static str,
}

// === impl Session ===

impl Session {
    pub fn new(client: Arc<str>, mailbox: Arc<Mailbox>, link: Link) -> Self {
        let mut session = Self {
            client,
            mailbox,
            subscriptions: Subscriptions::default(),
            exchanges: Exchanges::default(),
            outbound: Outbound::default(),
            done: mpsc::unbounded_channel(),
            link,
        };
        session.outbound.set_window(session.link.peer_receive_maximum);
        session
    }

    /// The device is back: a new link. The PUBRELs of unfinished deliveries, to be sent at once; their PUBLISHes come from
    /// [`Session::next_resend`].
    pub fn resume(&mut self, link: Link) -> Vec<Packet> {
        self.outbound.set_window(link.peer_receive_maximum);
        self.link = link;
        self.exchanges.reconnect();
        self.outbound.resume()
    }

    pub fn client(&self) -> &Arc<str> {
        &self.client
    }

    pub fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// The next ticket whose outcome is safe; then call [`Session::acknowledge`].
    pub async fn next_done(&mut self) -> Option<u64> {
        self.done.1.recv().await
    }

    /// A ticket that is there already.
    pub fn try_next_done(&mut self) -> Option<u64> {
        self.done.1.try_recv().ok()
    }

    /// The acks that may leave now.
    pub fn acknowledge(&mut self, ticket: u64) -> Vec<Packet> {
        self.exchanges.done(ticket, Reason::SUCCESS)
    }

    /// Whether the device has room for another delivery.
    pub fn wants_delivery(&self) -> bool {
        self.outbound.has_room()
    }

    /// A delivery of an earlier connection, when the device has room for it. All of them go before anything new.
    pub fn next_resend(&mut self) -> Option<Packet> {
        self.outbound.next_resend()
    }

    pub fn deliver(&mut self, delivery: Delivery) -> Packet {
        self.outbound.publish(delivery)
    }

    /// The device cannot take this packet: too large for it. It counts as delivered [MQTT-3.1.2-25].
    pub fn abandon(&mut self, packet: &Packet) {
        if let Packet::Publish(publish) = packet {
            self.outbound.abandon(publish.packet_id);
        }
    }

    /// Everything but CONNECT, which the handshake has taken.
    pub fn receive(&mut self, packet: Packet) -> Result<Vec<Action>, Violation> {
        Ok(match packet {
            Packet::Publish(publish) => return self.publish(publish),
            Packet::PubAck(ack) => {
                self.outbound.puback(ack.packet_id);
                Vec::new()
            }
            Packet::PubRec(ack) => self.outbound.pubrec(ack).map(Action::Send).into_iter().collect(),
            Packet::PubComp(ack) => {
                self.outbound.pubcomp(ack.packet_id);
                Vec::new()
            }
            Packet::PubRel(ack) => vec![Action::Send(Packet::PubComp(self.exchanges.release(ack.packet_id)))],
            Packet::Subscribe(subscribe) => vec![Action::Subscribe(subscribe)],
            Packet::Unsubscribe(unsubscribe) => vec![Action::Unsubscribe(unsubscribe)],
            Packet::PingReq => vec![Action::Send(Packet::PingResp)],
            Packet::Disconnect(disconnect) => vec![Action::Leave {
                with_will: disconnect.reason == Reason::DISCONNECT_WITH_WILL,
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

    fn publish(&mut self, publish: Publish) -> Result<Vec<Action>, Violation> {
        if !publish.subscription_ids.is_empty() {
            return Err(violation(Reason::PROTOCOL_ERROR, "a subscription identifier from a client [MQTT-3.3.4-6]"));
        }
        let topic = (self.link.aliases.resolve(publish.topic, publish.topic_alias))
            .map_err(|reason| violation(reason, "a topic alias that was not set or is out of range"))?;
        let (qos, packet_id, retain) = (publish.qos, publish.packet_id, publish.retain);
        let message = Message { topic, payload: publish.payload, qos, retain, properties: publish.properties };
        let refused = is_reserved(&message.topic);
        if qos == QoS::AtMostOnce {
            let accept = |message| Action::Accept { message, receipt: Receipt::none() };
            return Ok(vec![if refused { Action::Denied(message.topic) } else { accept(message) }]);
        }
        match self.exchanges.arrive(qos, packet_id) {
            Arrival::InProgress => Ok(vec![]),
            Arrival::Repeated => Ok(vec![Action::Send(Packet::PubRec(Ack { packet_id, reason: Reason::SUCCESS }))]),
            Arrival::New { ticket } if refused => {
                let acks = self.exchanges.done(ticket, self.refusal());
                Ok(acks.into_iter().map(Action::Send).chain([Action::Denied(message.topic)]).collect())
            }
            Arrival::New { ticket } => {
                self.check_quota()?;
                Ok(vec![Action::Accept { message, receipt: Receipt::new(ticket, self.done.0.clone()) }])
            }
        }
    }

    /// 3.1.1 has no reason to give: the message is acknowledged and goes nowhere.
    fn refusal(&self) -> Reason {
        if self.link.version == Version::V5 { Reason::NOT_AUTHORIZED } else { Reason::SUCCESS }
    }

    fn check_quota(&self) -> Result<(), Violation> {
        let exceeded = self.exchanges.outstanding() > usize::from(self.link.receive_maximum);
        if exceeded && self.link.version == Version::V5 {
            return Err(violation(
                Reason::RECEIVE_MAXIMUM_EXCEEDED,
                "more unacknowledged messages than CONNACK allows",
            ));
        }
        Ok(())
    }
}

impl Link {
    pub fn new(version: Version, receive_maximum: u16, peer_receive_maximum: u16) -> Self {
        Self { version, receive_maximum, peer_receive_maximum, aliases: Aliases::default() }
    }
}

/// Whether only the gateway may publish there.
pub fn is_reserved(topic: &TopicName) -> bool {
    topic.is_gateways_own()
}

fn violation(reason: Reason, detail: &'static str) -> Violation {
    Violation { reason, detail }
}

#[cfg(test)]
mod tests;
