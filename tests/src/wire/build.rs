//! Packets from a client.

use super::{Properties, Version};

/// Any packet: first byte, length, body.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first], variable_integer(body.len()).as_slice(), body].concat()
}

/// A PUBLISH, to be refined with the methods of [`Publish`].
pub fn publish(version: Version, topic: &str, payload: impl AsRef<[u8]>) -> Publish {
    let (topic, payload) = (topic.to_owned(), payload.as_ref().to_vec());
    Publish { version, topic, payload, flags: 0, packet_id: 0, properties: Properties::new() }
}

#[derive(Clone, Debug)]
pub struct Publish {
    version: Version,
    topic: String,
    payload: Vec<u8>,
    flags: u8,
    packet_id: u16,
    properties: Properties,
}

// === impl Publish ===

impl Publish {
    pub fn qos(mut self, qos: u8, packet_id: u16) -> Self {
        self.flags |= qos << 1;
        self.packet_id = packet_id;
        self
    }

    pub fn retain(mut self) -> Self {
        self.flags |= 0x01;
        self
    }

    pub fn dup(mut self) -> Self {
        self.flags |= 0x08;
        self
    }

    pub fn with(mut self, properties: Properties) -> Self {
        self.properties = properties;
        self
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut body = text(&self.topic);
        if self.flags & 0x06 != 0 {
            body.extend(self.packet_id.to_be_bytes());
        }
        if self.version == Version::V5 {
            body.extend(self.properties.encode());
        }
        body.extend(&self.payload);
        packet(0x30 | self.flags, &body)
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP in its short form, which is the same in both versions.
pub fn ack(kind: u8, packet_id: u16) -> Vec<u8> {
    let flags = if kind == super::PUBREL { 0x02 } else { 0 };
    packet(kind << 4 | flags, &packet_id.to_be_bytes())
}

/// SUBSCRIBE to filters, each with its options byte: in 3.1.1 just the QoS.
pub fn subscribe(version: Version, packet_id: u16, properties: &Properties, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = head(version, packet_id, properties);
    for (filter, options) in filters {
        body.extend(text(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

pub fn unsubscribe(version: Version, packet_id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = head(version, packet_id, &Properties::new());
    body.extend(filters.iter().flat_map(|filter| text(filter)));
    packet(0xA2, &body)
}

fn head(version: Version, packet_id: u16, properties: &Properties) -> Vec<u8> {
    let mut head = packet_id.to_be_bytes().to_vec();
    if version == Version::V5 {
        head.extend(properties.encode());
    }
    head
}

/// Two bytes of length, then the bytes.
pub(super) fn text(text: &str) -> Vec<u8> {
    binary(text.as_bytes())
}

pub(super) fn binary(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("MQTT strings have 65,535 bytes at most");
    [&length.to_be_bytes(), bytes].concat()
}

pub(super) fn variable_integer(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let more = value > 0x7F;
        bytes.push((value & 0x7F) as u8 | u8::from(more) << 7);
        value >>= 7;
        if !more {
            return bytes;
        }
    }
}
