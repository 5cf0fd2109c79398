//! The control packets of MQTT 3.1.1 and 5 in one vocabulary: what the session speaks.
//!
//! A 3.1.1 packet is the 5 packet without properties and reasons. What is the connection's own (topic alias,
//! subscription identifiers) stands beside the message, never in it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::Reason;
use crate::message::{Message, Properties, QoS};

/// Protocol version: the level byte of CONNECT (MQTT 5, section 3.1.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// MQTT 3.1.1, level 4.
    V311,
    /// MQTT 5, level 5.
    V5,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    Connect(Box<Connect>),
    ConnAck(Box<ConnAck>),
    Publish(Publish),
    PubAck(Ack),
    PubRec(Ack),
    PubRel(Ack),
    PubComp(Ack),
    Subscribe(Subscribe),
    SubAck(ReasonList),
    Unsubscribe(Unsubscribe),
    UnsubAck(ReasonList),
    PingReq,
    PingResp,
    Disconnect(Disconnect),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    pub version: Version,
    /// It is MQTT 3.1, which is served as 3.1.1.
    pub is_3_1: bool,
    /// May be empty: the server then assigns one (MQTT 5) or accepts it for a clean session only (3.1.1).
    pub client_id: String,
    /// `clean session` of 3.1.1, `clean start` of 5.
    pub clean_start: bool,
    /// Seconds; 0 switches the keep-alive off.
    pub keep_alive: u16,
    pub username: Option<String>,
    pub password: Option<Password>,
    pub will: Option<Will>,
    /// Seconds. `None` is 0 in MQTT 5; in 3.1.1 the clean session flag decides.
    pub session_expiry: Option<u32>,
    pub receive_maximum: Option<u16>,
    pub maximum_packet_size: Option<u32>,
    pub topic_alias_maximum: u16,
    /// Extended authentication is not offered: a method is answered with `BAD_AUTHENTICATION_METHOD`.
    pub authentication_method: Option<String>,
    pub user_properties: Vec<(String, String)>,
}

/// Any bytes (MQTT 5, section 3.1.3.6). Not drawn: a packet may get into a log, and this must not.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub Bytes);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    pub message: Message,
    /// Will delay interval in seconds (MQTT 5, section 3.1.3.2.2).
    pub delay: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnAck {
    pub session_present: bool,
    pub reason: Reason,
    /// MQTT 5 only, as is all that follows.
    pub assigned_client_id: Option<String>,
    pub session_expiry: Option<u32>,
    pub receive_maximum: Option<u16>,
    /// A server of ours has neither of these limits, and does not write them.
    pub maximum_qos: Option<QoS>,
    pub retain_available: Option<bool>,
    pub maximum_packet_size: Option<u32>,
    pub topic_alias_maximum: Option<u16>,
    pub server_keep_alive: Option<u16>,
    pub reason_string: Option<String>,
    /// Another server that is to be used. This gateway names none.
    pub server_reference: Option<String>,
}

/// A PUBLISH. An alias is not resolved here: the decoder does not know what it stands for, the session does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    pub dup: bool,
    /// 0 when the QoS is 0.
    pub packet_id: u16,
    /// `None` when the packet carries an empty topic name and only an alias (MQTT 5, section 3.3.2.1).
    pub topic: Option<crate::topic::TopicName>,
    /// Its topic has more levels than we allow, and is not here. The specification knows no such limit: the message alone is refused.
    pub is_too_deep: bool,
    pub topic_alias: Option<u16>,
    pub subscription_ids: Vec<u32>,
    pub payload: Bytes,
    pub qos: QoS,
    pub retain: bool,
    pub properties: Option<Arc<Properties>>,
}

/// PUBACK, PUBREC, PUBREL and PUBCOMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    pub packet_id: u16,
    pub reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    pub packet_id: u16,
    pub subscription_id: Option<u32>,
    /// At least one [MQTT-3.8.3-2].
    pub requests: Vec<SubscribeRequest>,
}

/// One filter of a SUBSCRIBE. The text is as the client wrote it: a bad filter fails alone, with its own reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeRequest {
    pub filter: String,
    pub options: SubscribeOptions,
}

/// Subscription options (MQTT 5, section 3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOptions {
    pub qos: QoS,
    pub no_local: bool,
    pub retain_as_published: bool,
    pub retain_handling: RetainHandling,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetainHandling {
    #[default]
    SendAtSubscribe,
    SendIfNew,
    DoNotSend,
}

/// SUBACK and UNSUBACK: one reason for each filter, in order. 3.1.1 has no reasons in UNSUBACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonList {
    pub packet_id: u16,
    pub reasons: Vec<Reason>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    pub packet_id: u16,
    /// At least one [MQTT-3.10.3-2].
    pub filters: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disconnect {
    pub reason: Reason,
    pub session_expiry: Option<u32>,
    pub reason_string: Option<String>,
}

// === impl Connect ===

impl Connect {
    /// Without a session, a name, a will, limits and keep-alive.
    pub fn new(version: Version, client_id: impl Into<String>) -> Self {
        Self {
            version,
            is_3_1: false,
            client_id: client_id.into(),
            clean_start: true,
            keep_alive: 0,
            username: None,
            password: None,
            will: None,
            session_expiry: None,
            receive_maximum: None,
            maximum_packet_size: None,
            topic_alias_maximum: 0,
            authentication_method: None,
            user_properties: Vec::new(),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

// === impl Publish ===

impl Publish {
    /// A message on its way out, with its name in full.
    pub fn outgoing(message: Message, packet_id: u16, dup: bool) -> Self {
        Self {
            dup,
            packet_id,
            topic: Some(message.topic),
            is_too_deep: false,
            topic_alias: None,
            subscription_ids: Vec::new(),
            payload: message.payload,
            qos: message.qos,
            retain: message.retain,
            properties: message.properties,
        }
    }
}

/// A packet may have properties and the message none: a topic alias stays with the connection.
pub(super) fn shared(properties: Option<Properties>) -> Option<Arc<Properties>> {
    properties.filter(|properties| !properties.is_empty()).map(Arc::new)
}
