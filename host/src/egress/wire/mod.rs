//! What the client says and hears, in words of its own, and rumqttc's codecs behind them.
//!
//! rumqttc brings the packet types and the bytes of 3.1.1 (`mqttbytes::v4`) and 5 (`v5::mqttbytes::v5`); its event loop is
//! not used, because it answers PUBREC before anybody could make that durable, never sets DUP, and drops what it holds. PUBLISH
//! alone is written by our own encoder ([`publish`]).
//!
//! Around the codecs stand three guards. Packets are framed here first, with a bound, and only a whole frame is decoded. Only
//! packets that a server may send reach the decoder. Reason codes are read from the wire: rumqttc numbers its variants from 0.

mod frame;
mod publish;
mod v311;
mod v5;

use bytes::BytesMut;

use self::frame::Frame;
use super::inflight::{Ack, Publish};
use crate::config::Protocol;
use crate::ingress::codec::Reason;
use crate::message::QoS;

/// The largest packet that we accept: without subscriptions, a server sends acks and their properties only.
pub const MAX_INCOMING: usize = 64 * 1024;

/// The largest packet that the protocol can express: a remaining length of 268,435,455 after five bytes of header.
pub const MAX_OUTGOING: usize = 268_435_460;

#[derive(Clone, Copy)]
pub enum Outgoing<'a> {
    Connect(&'a Connect<'a>),
    Publish(&'a Publish),
    PubAck(u16),
    PubRec(u16),
    PubRel(Ack),
    PubComp(u16),
    PingReq,
    Disconnect,
}

/// Has no `Debug`: it carries the password.
#[derive(Clone, Copy)]
pub struct Connect<'a> {
    pub client_id: &'a str,
    /// `clean session` of 3.1.1.
    pub clean_start: bool,
    pub keep_alive: u16,
    pub username: Option<&'a str>,
    pub password: Option<&'a str>,
    /// MQTT 5 only.
    pub session_expiry: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    ConnAck(ConnAck),
    /// Nothing is subscribed, so its content is of no interest; its ack is.
    Publish {
        qos: QoS,
        id: u16,
    },
    PubAck(Ack),
    PubRec(Ack),
    PubRel(u16),
    PubComp(Ack),
    PingResp,
    Disconnect {
        reason: Reason,
        text: Option<String>,
    },
}

/// What follows `reason` is MQTT 5 only, and `None` means the protocol's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnAck {
    pub session_present: bool,
    pub reason: Reason,
    pub text: Option<String>,
    pub receive_maximum: Option<u16>,
    pub maximum_qos: Option<QoS>,
    pub retain_available: Option<bool>,
    pub maximum_packet_size: Option<u32>,
    pub server_keep_alive: Option<u16>,
}

/// The server broke the protocol: this connection ends.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("the upstream sent a packet of {0} bytes; at most {MAX_INCOMING} are accepted")]
    TooLarge(usize),
    #[error("the upstream sent a malformed packet: {0}")]
    Malformed(String),
    #[error("the upstream sent a packet of type {0}, which a server does not send to a client without subscriptions")]
    Unexpected(u8),
}

/// This packet can never be sent to this server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{size} bytes, and the upstream takes at most {max}")]
    TooLarge { size: usize, max: usize },
    #[error("no packet can carry it: a property of more than 65,535 bytes, or more than 268,435,455 bytes in all")]
    Impossible,
    #[error("{0}")]
    Codec(String),
}

/// Appends one packet of at most `max` bytes. After an error, `out` is as it was.
pub fn encode(protocol: Protocol, packet: Outgoing<'_>, max: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
    let start = out.len();
    let written = match protocol {
        Protocol::V311 => v311::encode(packet, max, out),
        Protocol::V5 => v5::encode(packet, max, out),
    };
    written.inspect_err(|_| out.truncate(start))
}

/// Takes one packet from the front of `input`, or `None` while it is not whole.
pub fn decode(protocol: Protocol, input: &mut BytesMut) -> Result<Option<Incoming>, DecodeError> {
    let Some(frame) = Frame::take(input, MAX_INCOMING)? else { return Ok(None) };
    let incoming = match protocol {
        Protocol::V311 => v311::decode(frame),
        Protocol::V5 => v5::decode(frame),
    };
    incoming.map(Some)
}

#[cfg(test)]
mod tests;
