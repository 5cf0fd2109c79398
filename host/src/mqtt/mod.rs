//! MQTT 3.1.1 and 5: from bytes to packets and back, as a server, and the two halves of QoS 1 and 2.
//!
//! ```text
//!            frame             walk, properties      connect, publish, ...
//!  bytes ─▶ type, flags, ─▶ the specification, ─▶ one file for each packet, ─▶ Packet
//!            length, cap     field by field         read and written there
//! ```
//!
//! [`client`] is the other side, towards an upstream. [`sender`] and [`receiver`] are what a session does with acks, whichever side it is.
//!
//! # What is promised
//! - No input makes it panic, and no length that a client claims makes it reserve memory.
//! - What the specification calls malformed or a protocol error is refused, with the reason that it names.
//! - A packet comes out the same, however its bytes were cut on the way.
//! - A payload is never copied on the way in: it is a slice of the read buffer.
//!
//! # What was not chosen
//! rumqttd's codecs, behind a walk that checked each packet first: docs/decisions/0023. Each byte is read once, here, where
//! the rule that it has to keep is cited.
//!
//! # What it is not
//! The codec knows one packet at a time. What depends on the session (aliases, receive maximum, whether a filter is well-formed) is the
//! session's to judge.

mod ack;
pub mod client;
mod connack;
mod connect;
mod disconnect;
mod error;
mod foreign;
mod frame;
mod packet;
mod properties;
mod publish;
mod reason;
pub mod receiver;
pub mod sender;
mod suback;
mod subscribe;
mod topic;
mod walk;
mod wire;

#[cfg(test)]
mod tests;

use bytes::BytesMut;

pub use connect::Mqtt31;
pub use error::DecodeError;
pub use foreign::Foreign;
pub use packet::*;
pub use reason::Reason;

use crate::topic::TopicName;
use frame::{Header, Kind};

/// The codec of one connection. Its first packet is a CONNECT, which decides the version.
#[derive(Debug)]
pub struct Codec {
    version: Option<Version>,
    mqtt_3_1: Mqtt31,
    /// The device speaks 3.1, and `version` is 3.1.1. Only here and in its CONNECT does it make a difference.
    is_3_1: bool,
    max_packet_size: usize,
    /// Of the device, as far as its CONNECT has been understood.
    peer_maximum: Option<u32>,
    /// Of the last PUBLISH: a device says the same name again and again, and one that is known needs no check and no memory.
    last_topic: Option<TopicName>,
}

// === impl Codec ===

impl Codec {
    /// Packets of more bytes than this, fixed header included, are refused before they are buffered.
    pub fn new(max_packet_size: usize) -> Self {
        let mqtt_3_1 = Mqtt31::Refused;
        Self { version: None, mqtt_3_1, is_3_1: false, max_packet_size, peer_maximum: None, last_topic: None }
    }

    /// Whether a CONNECT of MQTT 3.1 is taken. What such a device gets instead of what 3.1 does not have: see docs/decisions/0056.
    pub fn with_mqtt_3_1(self, mqtt_3_1: Mqtt31) -> Self {
        Self { mqtt_3_1, ..self }
    }

    /// In which to answer. `None` until a CONNECT has named one; one that we do not speak is answered in the nearest that we do.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// What it is told by its `version` that 3.1 has no word for is left out.
    pub fn is_3_1(&self) -> bool {
        self.is_3_1
    }

    /// The largest packet that the device takes, as far as it could be understood before something was bad [MQTT-3.1.2-24].
    pub fn peer_maximum_packet_size(&self) -> Option<u32> {
        self.peer_maximum
    }

    /// Takes exactly one packet from the front of `buffer`, or nothing when more bytes are needed.
    ///
    /// After an error the connection is to be closed: what is left in `buffer` means nothing.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Packet>, DecodeError> {
        let Some(header) = Header::read(buffer, self.version, self.is_3_1, self.max_packet_size)? else {
            return Ok(None);
        };
        if buffer.len() < header.packet_size() {
            return Ok(None);
        }
        let packet = buffer.split_to(header.packet_size());
        match self.version {
            None => self.connect(&header, &packet).map(Some),
            Some(version) => self.packet(&header, packet, version).map(Some),
        }
    }

    /// The version that a CONNECT names of which only the beginning is there, so that who is refused before the end is told why.
    pub fn learn_version(&mut self, beginning: &[u8]) {
        let header = Header::read(beginning, self.version, self.is_3_1, self.max_packet_size);
        if let Ok(Some(header)) = header
            && header.kind == Kind::Connect
        {
            let named = connect::version(&mut header.body(beginning), self.mqtt_3_1);
            self.version = named.map_or_else(|(_, language)| language, |named| Some(named.version));
        }
    }

    /// Appends a packet to `out`; many may be appended before one write.
    ///
    /// Before the version is known (a CONNECT of a version that we do not speak) it writes 3.1.1, whose CONNACK every
    /// client understands. Nothing is appended for what cannot be said: DISCONNECT and most refusals in 3.1.1, a packet whose
    /// `size` is `usize::MAX`, and the packets that only a client sends.
    pub fn encode(&self, packet: &Packet, out: &mut BytesMut) {
        let version = self.version.unwrap_or(Version::V311);
        match packet {
            Packet::Publish(publish) => publish::encode(publish, version, out),
            Packet::PubAck(ack) => ack::encode(0x40, ack, version, out),
            Packet::PubRec(ack) => ack::encode(0x50, ack, version, out),
            Packet::PubRel(ack) => ack::encode(0x62, ack, version, out),
            Packet::PubComp(ack) => ack::encode(0x70, ack, version, out),
            Packet::ConnAck(connack) if self.is_3_1 => connack::encode_v31(connack, out),
            Packet::ConnAck(connack) => connack::encode(connack, version, out),
            Packet::SubAck(list) if self.is_3_1 => suback::encode_v31(list, out),
            Packet::SubAck(list) => suback::encode(list, version, out),
            Packet::UnsubAck(list) => suback::encode_unsuback(list, version, out),
            Packet::PingResp => out.extend_from_slice(&[0xD0, 0]),
            Packet::Disconnect(disconnect) if version == Version::V5 => disconnect::encode(disconnect, out),
            Packet::Disconnect(_) => {}
            Packet::Connect(_) | Packet::Subscribe(_) | Packet::Unsubscribe(_) | Packet::PingReq => {}
        }
    }

    /// How many bytes `encode` appends, to be held against the peer's Maximum Packet Size [MQTT-3.1.2-24].
    /// `usize::MAX` for a message that no MQTT packet can carry, so that it fits no peer.
    pub fn size(&self, packet: &Packet) -> usize {
        if let Packet::Publish(publish) = packet {
            return publish::size(publish, self.version.unwrap_or(Version::V311));
        }
        // The others are small and rare.
        let mut scratch = BytesMut::new();
        self.encode(packet, &mut scratch);
        scratch.len()
    }

    /// The version is kept even when the rest of the CONNECT is bad: the CONNACK that says so must be in its language.
    fn connect(&mut self, header: &Header, packet: &[u8]) -> Result<Packet, DecodeError> {
        let mut walk = header.body(packet);
        let named = connect::version(&mut walk, self.mqtt_3_1).map_err(|(error, language)| {
            self.version = language;
            error
        })?;
        (self.version, self.is_3_1) = (Some(named.version), named.is_3_1);
        header.check_length(named.version)?;
        let connect = connect::decode(&mut walk, &named, &mut self.peer_maximum)?;
        Ok(Packet::Connect(Box::new(connect)))
    }

    fn packet(&mut self, header: &Header, packet: BytesMut, version: Version) -> Result<Packet, DecodeError> {
        header.check_length(version)?;
        let mut walk = header.body(&packet);
        Ok(match header.kind {
            Kind::Connect => return Err(error::protocol("a second CONNECT")),
            Kind::Publish => Packet::Publish(publish::decode(header, packet, version, &mut self.last_topic)?),
            Kind::PubAck => Packet::PubAck(ack::decode(header, &packet, version)?),
            Kind::PubRec => Packet::PubRec(ack::decode(header, &packet, version)?),
            Kind::PubRel => Packet::PubRel(ack::decode(header, &packet, version)?),
            Kind::PubComp => Packet::PubComp(ack::decode(header, &packet, version)?),
            Kind::Subscribe => Packet::Subscribe(subscribe::decode(&mut walk, version)?),
            Kind::Unsubscribe => Packet::Unsubscribe(subscribe::decode_unsubscribe(&mut walk, version)?),
            Kind::PingReq => walk.finish().map(|()| Packet::PingReq)?,
            Kind::Disconnect => Packet::Disconnect(disconnect::decode(header, &packet, version)?),
        })
    }
}
