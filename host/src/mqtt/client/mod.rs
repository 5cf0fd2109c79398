//! What the client says and hears, in words of its own, and rumqttc's codecs behind them.
//!
//! rumqttc brings the packet types and the bytes of 3.1.1 (`mqttbytes::v4`) and 5 (`v5::mqttbytes::v5`); its event loop is
//! not used, because it answers PUBREC before anybody could make that durable, never sets DUP, and drops what it holds. CONNECT
//! and PUBLISH are written by the encoders that this room has anyway: a password may be any bytes, and rumqttc's is a text; and
//! rumqttc's PUBLISH wants a copy of the topic.
//!
//! Around the codecs stand three guards. Packets are framed here first, with a bound, and only a whole frame is decoded. Only
//! packets that a server may send reach the decoder. Reason codes are read from the wire: rumqttc numbers its variants from 0.

mod frame;
mod publish;
mod subscribed;
mod v311;
mod v5;

use bytes::{Buf, BytesMut};

use self::frame::Frame;
pub use self::publish::Publish;
use self::subscribed::{PUBLISH, SUBACK, Size, UNSUBACK};
use crate::message::QoS;
use crate::mqtt::error::{malformed, protocol};
use crate::mqtt::packet::SubscribeRequest;
use crate::mqtt::{Ack, ConnAck, Connect, DecodeError, Packet, Reason, ReasonList, Version, ack, connect, subscribe};
use crate::topic::TopicName;

/// The largest packet that we accept without subscriptions: a server sends acks and their properties only.
pub const MAX_INCOMING: usize = 64 * 1024;

/// The largest packet that the protocol can express: a remaining length of 268,435,455 after five bytes of header.
pub const MAX_OUTGOING: usize = 268_435_460;

#[derive(Clone, Copy)]
pub enum Outgoing<'a> {
    /// Of the version that is spoken.
    Connect(&'a Connect),
    Publish(&'a Publish),
    PubAck(u16),
    PubRec(u16),
    PubRel(Ack),
    PubComp(u16),
    PingReq,
    /// Of the version that is spoken.
    Subscribe(u16, &'a SubscribeRequest),
    Unsubscribe(u16, &'a str),
    /// The reason is said in MQTT 5.
    Disconnect(Reason),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    ConnAck(Box<ConnAck>),
    Publish(Box<crate::mqtt::Publish>),
    /// A PUBLISH that cannot be taken; its ack is of interest all the same. With the reason that such an ack may have.
    Unusable {
        qos: QoS,
        packet_id: u16,
        reason: Reason,
    },
    SubAck(ReasonList),
    UnsubAck(ReasonList),
    PubAck(Ack),
    PubRec(Ack),
    PubRel(u16),
    PubComp(Ack),
    PingResp,
    Disconnect {
        reason: Reason,
        text: Option<String>,
        /// Another server that is to be used.
        server: Option<String>,
    },
}

/// rumqttc's decoders refuse what is no packet, and say no more than that.
const UNREADABLE: DecodeError = malformed("a packet that cannot be read");

/// No authentication method was offered.
const UNEXPECTED: DecodeError = protocol("a packet that a server does not send");

/// Reads what the server of one connection sends.
#[derive(Debug)]
pub struct Decoder {
    version: Version,
    max: usize,
    /// Of the last PUBLISH.
    last_topic: Option<TopicName>,
    /// What is still to come of a PUBLISH that is larger than we take.
    to_skip: usize,
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
pub fn encode(protocol: Version, packet: Outgoing<'_>, max: usize, out: &mut BytesMut) -> Result<(), EncodeError> {
    let start = out.len();
    let written = match (packet, protocol) {
        (Outgoing::Connect(connect), _) => connect::encode(connect, out).ok_or(EncodeError::Impossible),
        (Outgoing::Publish(publish), _) => publish::encode(protocol, publish, max, out),
        (Outgoing::Subscribe(id, request), _) => {
            subscribe::encode(id, request, protocol, out).ok_or(EncodeError::Impossible)
        }
        (Outgoing::Unsubscribe(id, filter), _) => {
            subscribe::encode_unsubscribe(id, filter, protocol, out).ok_or(EncodeError::Impossible)
        }
        (_, Version::V311) => v311::encode(packet, max, out),
        (_, Version::V5) => v5::encode(packet, max, out),
    };
    written.inspect_err(|_| out.truncate(start))
}

/// The ack of a message that the server has sent, with its reason. Nothing for any other packet.
pub fn encode_ack(version: Version, packet: &Packet, out: &mut BytesMut) {
    match packet {
        Packet::PubAck(one) => ack::encode(0x40, one, version, out),
        Packet::PubRec(one) => ack::encode(0x50, one, version, out),
        Packet::PubComp(one) => ack::encode(0x70, one, version, out),
        _ => {}
    }
}

/// Takes one packet from the front of `input`, or `None` while it is not whole: of a server that nothing was subscribed to.
pub fn decode(protocol: Version, input: &mut BytesMut) -> Result<Option<Incoming>, DecodeError> {
    Decoder::new(protocol, MAX_INCOMING).decode(input)
}

// === impl Decoder ===

impl Decoder {
    /// A PUBLISH of more bytes than `max` is passed over, any other packet of that size is refused.
    pub fn new(version: Version, max: usize) -> Self {
        Self { version, max, last_topic: None, to_skip: 0 }
    }

    /// Takes one packet from the front of `input`, or `None` while it is not whole. After an error this connection ends.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Incoming>, DecodeError> {
        self.skip(input);
        match subscribed::size(input, self.max)? {
            Size::Fits => {}
            Size::Unknown => return Ok(None),
            Size::TooLarge { packet, size } => {
                self.to_skip = size;
                self.skip(input);
                return Ok(Some(packet));
            }
        }
        let Some(frame) = Frame::take(input, self.max)? else { return Ok(None) };
        let incoming = match (frame.packet_type(), self.version) {
            (PUBLISH, version) => subscribed::message(frame, version, &mut self.last_topic),
            (SUBACK, version) => frame.check_flags().and_then(|()| subscribed::suback(&frame, version)),
            (UNSUBACK, version) => frame.check_flags().and_then(|()| subscribed::unsuback(&frame, version)),
            (_, Version::V311) => v311::decode(frame),
            (_, Version::V5) => v5::decode(frame),
        };
        incoming.map(Some)
    }

    fn skip(&mut self, input: &mut BytesMut) {
        let here = self.to_skip.min(input.len());
        input.advance(here);
        self.to_skip -= here;
    }
}

#[cfg(test)]
mod tests;
