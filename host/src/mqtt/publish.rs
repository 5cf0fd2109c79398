//! PUBLISH (MQTT 5, section 3.3): the packet that the gateway exists for, so neither direction copies a payload more
//! than it must.
//!
//! # In
//! The payload is a slice of the read buffer, and so is the correlation data. Most messages have no properties: what is left
//! to allocate is the topic name, and a device says the same name again and again.
//!
//! A payload that is kept for long keeps its read buffer alive with it. Whoever stores small payloads for hours
//! (retained messages, offline sessions) should copy them out.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::error::{DecodeError, malformed, protocol};
use super::frame::Header;
use super::packet::{Publish, Version, shared};
use super::properties::{self, Place, Value, id};
use super::topic;
use super::walk::Walk;
use super::wire::{self, Counter, Sink};
use crate::message::{Properties, QoS};
use crate::topic::TopicName;

/// Bytes of a topic name that is kept for the next packet: each connection has one.
const REMEMBERED: usize = 256;

/// How long an outgoing PUBLISH is.
struct Layout {
    properties: usize,
    remaining: usize,
}

/// `last` is the name of the packet before, and becomes that of this one.
pub(super) fn decode(
    header: &Header,
    packet: BytesMut,
    version: Version,
    last: &mut Option<TopicName>,
) -> Result<Publish, DecodeError> {
    let (dup, qos, retain) = flags(header.flags)?;
    let mut packet = packet.freeze();
    let mut walk = header.body(&packet);
    let name = walk.text()?;
    let packet_id = if qos == QoS::AtMostOnce { 0 } else { walk.packet_id()? };
    let (topic_alias, properties) = match version {
        Version::V311 => (None, None),
        Version::V5 => read_properties(&mut walk, &packet)?,
    };
    let (topic, is_too_deep) = match resolve(name, topic_alias, version, last)? {
        Topic::Here(topic) => (topic, false),
        Topic::TooDeep => (None, true),
    };
    let payload_at = packet.len() - walk.left();
    packet.advance(payload_at);
    Ok(Publish {
        dup,
        packet_id,
        topic,
        is_too_deep,
        topic_alias,
        subscription_ids: Vec::new(),
        payload: packet,
        qos,
        retain,
        properties: shared(properties),
    })
}

/// The topic alias, which stays with the connection, and what travels with the message.
fn read_properties(walk: &mut Walk<'_>, packet: &Bytes) -> Result<(Option<u16>, Option<Properties>), DecodeError> {
    let (mut topic_alias, mut properties) = (None, None);
    properties::each(walk, Place::Publish, |id, value| match (id, value) {
        (id::TOPIC_ALIAS, Value::Number(alias)) => topic_alias = u16::try_from(alias).ok(),
        _ => properties::keep(properties.get_or_insert_default(), id, value, |data| packet.slice_ref(data)),
    })?;
    Ok((topic_alias, properties))
}

/// Appends nothing when the message has no place in an MQTT packet: its `size` then says `usize::MAX`.
pub(crate) fn encode(publish: &Publish, version: Version, out: &mut BytesMut) {
    let Some(layout) = Layout::of(publish, version) else { return };
    out.reserve(wire::packet_size(layout.remaining).unwrap_or_default());
    let dup = publish.dup && publish.qos != QoS::AtMostOnce;
    out.put_u8(0x30 | u8::from(dup) << 3 | (publish.qos as u8) << 1 | u8::from(publish.retain));
    out.varint(layout.remaining);
    write_head(publish, out);
    if version == Version::V5 {
        out.varint(layout.properties);
        properties::write_publish(publish, out);
    }
    out.bytes(&publish.payload);
}

pub(crate) fn size(publish: &Publish, version: Version) -> usize {
    Layout::of(publish, version).and_then(|layout| wire::packet_size(layout.remaining)).unwrap_or(usize::MAX)
}

/// DUP, QoS and retain (section 3.3.1).
fn flags(bits: u8) -> Result<(bool, QoS, bool), DecodeError> {
    let dup = bits & 0b1000 != 0;
    // [MQTT-3.3.1-4]
    let qos = QoS::from_bits((bits >> 1) & 0b11).ok_or(malformed("QoS 3"))?;
    // [MQTT-3.3.1-2]
    if dup && qos == QoS::AtMostOnce {
        return Err(malformed("DUP with QoS 0"));
    }
    Ok((dup, qos, bits & 0b0001 != 0))
}

enum Topic {
    /// `None`: an alias stands for it.
    Here(Option<TopicName>),
    TooDeep,
}

/// In MQTT 5 an alias may stand for the name, and only an alias may (section 3.3.2.1).
fn resolve(
    name: &str,
    topic_alias: Option<u16>,
    version: Version,
    last: &mut Option<TopicName>,
) -> Result<Topic, DecodeError> {
    match (name, version) {
        ("", Version::V5) if topic_alias.is_some() => Ok(Topic::Here(None)),
        ("", Version::V5) => Err(protocol("neither a topic name nor a topic alias")),
        (name, _) => {
            if let Some(last) = last.as_ref().filter(|last| last.as_str() == name) {
                return Ok(Topic::Here(Some(last.clone())));
            }
            let name = match topic::name(name) {
                Err(_) if topic::is_too_deep(name) => return Ok(Topic::TooDeep),
                name => name?,
            };
            *last = Some(name.clone()).filter(|name| name.as_str().len() <= REMEMBERED);
            Ok(Topic::Here(Some(name)))
        }
    }
}

fn write_head(publish: &Publish, out: &mut impl Sink) {
    out.field(publish.topic.as_ref().map_or(&[], |name| name.as_str().as_bytes()));
    if publish.qos != QoS::AtMostOnce {
        out.bytes(&publish.packet_id.to_be_bytes());
    }
}

// === impl Layout ===

impl Layout {
    /// `None`: a field is longer than 65,535 bytes, or the whole is longer than a remaining length can say. No
    /// device can send us such a message; a plugin can make one.
    fn of(publish: &Publish, version: Version) -> Option<Self> {
        let mut head = Counter::default();
        write_head(publish, &mut head);
        let properties = match version {
            Version::V311 => None,
            Version::V5 => {
                let mut counter = Counter::default();
                properties::write_publish(publish, &mut counter);
                Some(counter.total()?)
            }
        };
        let prefix = properties.map_or(0, |bytes| wire::varint_size(bytes) + bytes);
        let remaining = head.total()? + prefix + publish.payload.len();
        (remaining <= wire::MAX_VARINT).then_some(Self { properties: properties.unwrap_or_default(), remaining })
    }
}
