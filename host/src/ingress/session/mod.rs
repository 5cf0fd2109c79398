//! The session of one device: what MQTT says must happen, without sockets and clocks.
//!
//! Packets and events go in, [`Action`]s come out; [`super::connection`] carries them out. A session outlives its connections
//! when the device asks for it: [`super::registry`] keeps it meanwhile.
//!
//! | question | file |
//! |---|---|
//! | what does each packet of the device ask for | [`receive`] |
//! | where is QoS 2 deduplicated, who acks and in which order | [`crate::mqtt::receiver`] |
//! | what is sent to the device again after a reconnect | [`outbound`], over [`crate::mqtt::sender`] |
//! | on which message does the device close | [`isolation`], [`suspects`] |
//! | what SUBSCRIBE and UNSUBSCRIBE change, and their answers | [`subscriptions`] |
//! | what does a topic alias stand for | [`alias`] |
//! | what is not let through by the access rules | [`denied`] |
//! | what of it survives a restart | [`durable`] |

mod alias;
mod denied;
mod durable;
mod isolation;
mod outbound;
mod receive;
mod subscriptions;
mod suspects;

use std::sync::Arc;

use smallvec::SmallVec;

use alias::Aliases;
pub use alias::TOPIC_ALIAS_MAXIMUM;
pub use denied::{Denial, KeptBack};
pub use durable::Farewell;
pub use isolation::ATTEMPTS;
use isolation::Isolation;
use outbound::{Outbound, Resend};
pub use receive::{WRONG_ACK, is_gateways_own};
pub use subscriptions::{Changed, Subscriptions};
pub use suspects::GivenUp;

use crate::access::Permit;
use crate::bus::{Bus, Delivery, Mailbox, PendingDelivery};
use crate::message::Message;
pub use crate::mqtt::receiver::Packets;
use crate::mqtt::receiver::Receiver;
use crate::mqtt::{Packet, Reason, Subscribe, Unsubscribe, Version};
use crate::spool::{Change, Receipt, Resolved};
use crate::topic::TopicName;

#[derive(Debug)]
pub struct Session {
    client: Arc<str>,
    mailbox: Arc<Mailbox>,
    pub subscriptions: Subscriptions,
    receiver: Receiver,
    outbound: Outbound,
    isolation: Isolation,
    resolved: Resolved,
    /// To be written at the next occasion: what the device has confirmed. Nothing waits for it.
    finished: Vec<Change>,
    expired: u64,
    /// Of an earlier connection, and the device may not have it any more.
    kept_back: Vec<KeptBack>,
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
    /// Of who is at the other end.
    pub permit: Permit,
    aliases: Aliases,
}

/// Usually one, or none.
pub type Actions = SmallVec<[Action; 1]>;

/// What the connection has to do.
#[derive(Debug)]
pub enum Action {
    Send(Packet),
    /// A message was accepted: hand it on, with this receipt and its identity, if that is to survive a restart.
    Accept {
        message: Message,
        receipt: Receipt,
        identity: Option<Change>,
    },
    /// To be written; a packet of the session waits for the receipt.
    Store(Change, Receipt),
    /// A message that goes nowhere: answered by the session, counted by the connection.
    Denied(Denial),
    /// The connection ends.
    Close(Violation),
    /// Carry out [`Subscriptions::subscribe`] and send the SUBACK.
    Subscribe(Subscribe),
    Unsubscribe(Unsubscribe),
    /// The device said good-bye.
    Leave {
        with_will: bool,
        /// With a reason that says that something was wrong.
        is_failure: bool,
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
        Self {
            subscriptions: Subscriptions::new(mailbox.ledger().charge()),
            client,
            mailbox,
            receiver: Receiver::default(),
            outbound: Outbound::new(link.peer_receive_maximum),
            isolation: Isolation::new(tokio::time::Instant::now()),
            resolved: Resolved::default(),
            finished: Vec::new(),
            expired: 0,
            kept_back: Vec::new(),
            link,
        }
    }

    /// The device is back: a new link. The PUBRELs of unfinished deliveries, to be sent at once; their PUBLISHes come from
    /// [`Session::next_resend`].
    pub fn resume(&mut self, link: Link) -> Vec<Packet> {
        self.link = link;
        self.receiver.reconnect();
        self.isolation.connected(tokio::time::Instant::now());
        self.outbound.resume(self.link.peer_receive_maximum)
    }

    pub fn client(&self) -> &Arc<str> {
        &self.client
    }

    /// The user that has proved to be its own: nobody else gets this session.
    pub fn owner(&self) -> Option<&Arc<str>> {
        self.link.permit.identity().user.as_ref()
    }

    pub fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    pub fn alias_bytes(&self) -> usize {
        self.link.aliases.bytes()
    }

    /// The next ticket whose outcome is safe; then call [`Session::acknowledge`].
    pub async fn next_done(&self) -> u64 {
        self.resolved.next().await
    }

    /// A ticket that is there already.
    pub fn try_next_done(&self) -> Option<u64> {
        self.resolved.try_next()
    }

    /// The acks that may leave now. What was refused is told so; in 3.1.1, and where an ack has no reason for it, by the end of the
    /// connection.
    pub fn acknowledge(&mut self, ticket: u64) -> Result<Packets, Violation> {
        let is_refused = self.resolved.take_refused(ticket);
        if is_refused && self.receiver.holds(ticket) {
            return Err(too_large());
        }
        let packets = self.receiver.done(ticket, if is_refused { Reason::QUOTA_EXCEEDED } else { Reason::SUCCESS });
        let is_failure = |packet: &Packet| match packet {
            Packet::PubAck(ack) | Packet::PubRec(ack) => ack.reason == Reason::QUOTA_EXCEEDED,
            _ => false,
        };
        if self.link.version != Version::V5 && packets.iter().any(is_failure) {
            return Err(too_large());
        }
        for packet in &packets {
            if let Packet::PubRel(ack) = packet {
                self.outbound.released(ack.packet_id);
            }
        }
        Ok(packets)
    }

    /// A packet that leaves when what the receipt is given to is safe.
    pub fn hold(&mut self, packet: Packet) -> Receipt {
        Receipt::new(self.receiver.hold(packet), self.resolved.clone())
    }

    /// Whether so many packets wait for what is being written that reading should pause.
    pub fn holds_too_much(&self) -> bool {
        self.receiver.holds_too_much()
    }

    /// Whether there are retained messages to be fetched, and the device has taken most of those before.
    pub fn wants_replay(&self) -> bool {
        self.subscriptions.wants_replay(&self.mailbox)
    }

    /// The next few of them: what has to be written down before it is delivered, and how far that is.
    pub fn replay(&mut self, bus: &Bus) -> (Vec<PendingDelivery>, Option<Change>) {
        if self.wants_replay() { self.subscriptions.replay(bus) } else { Default::default() }
    }

    /// Whether the device has room for another delivery.
    pub fn wants_delivery(&self) -> bool {
        self.outbound.has_room() && !self.isolation.is_active()
    }

    /// A delivery of an earlier connection, when the device has room for it. All of them go before anything new.
    pub fn next_resend(&mut self) -> Option<Packet> {
        if !self.isolation.is_active() {
            return self.next_unexpired();
        }
        let now = tokio::time::Instant::now();
        if self.is_held_back(now) {
            return None;
        }
        if !self.outbound.has_unacknowledged() {
            self.isolation.is_over();
            return None;
        }
        let packet = self.next_unexpired()?;
        if let Packet::Publish(publish) = &packet {
            self.isolation.sent(publish.packet_id, now);
        }
        Some(packet)
    }

    fn next_unexpired(&mut self) -> Option<Packet> {
        loop {
            match self.outbound.next_resend(&mut self.link.permit)? {
                Resend::Packet(packet) => return Some(packet),
                Resend::Expired(number) => {
                    self.expired += 1;
                    self.finish(number);
                }
                Resend::Denied(delivery) => self.kept_back.push(KeptBack::Delivery(delivery)),
                Resend::Released(answer) => self.release_kept_back(answer),
            }
        }
    }

    /// How many deliveries have expired instead of being sent again, since the last time.
    pub fn take_expired(&mut self) -> u64 {
        std::mem::take(&mut self.expired)
    }

    /// The next delivery of the mailbox, unless its packet identifier is in use.
    pub fn next_delivery(&self) -> Option<Delivery> {
        self.mailbox.take_if(|delivery| self.outbound.has_identifier_for(delivery))
    }

    pub fn deliver(&mut self, delivery: Delivery) -> Packet {
        self.outbound.publish(delivery)
    }

    /// The device cannot take this packet: too large for it. It counts as delivered [MQTT-3.1.2-25].
    pub fn abandon(&mut self, packet: &Packet) {
        if let Packet::Publish(publish) = packet {
            let number = self.outbound.abandon(publish.packet_id);
            self.finish(number);
        }
    }
}

/// What it causes has no room in a record of the spool.
fn too_large() -> Violation {
    Violation { reason: Reason::QUOTA_EXCEEDED, detail: "what a packet causes is larger than a segment of the spool" }
}

impl Link {
    pub fn new(version: Version, receive_maximum: u16, peer_receive_maximum: u16) -> Self {
        let (permit, aliases) = (Permit::default(), Aliases::default());
        Self { version, receive_maximum, peer_receive_maximum, permit, aliases }
    }

    pub fn with(self, permit: Permit) -> Self {
        Self { permit, ..self }
    }
}

#[cfg(test)]
mod tests;
