//! Packets from a server.

use super::{CONNACK, DISCONNECT, PUBLISH, Properties, Version, id};

/// A packet as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Packet {
    pub first: u8,
    pub body: Vec<u8>,
}

/// What a PUBLISH says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub topic: String,
    pub payload: String,
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    pub packet_id: u16,
    pub properties: Properties,
}

/// Reads from the front; panics when there is not enough, which in a test is an answer.
pub struct Cursor<'a>(&'a [u8]);

// === impl Packet ===

impl Packet {
    /// Takes one from the front of `buffer`, when it is complete.
    pub fn take(buffer: &mut Vec<u8>) -> Option<Self> {
        let mut length = 0;
        for (at, byte) in buffer.iter().skip(1).take(4).enumerate() {
            length |= usize::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 == 0 {
                let start = at + 2;
                let body = buffer.get(start..start + length)?.to_vec();
                let first = *buffer.first()?;
                buffer.drain(..start + length);
                return Some(Self { first, body });
            }
        }
        None
    }

    pub fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// Of an acknowledgement, SUBACK or UNSUBACK.
    pub fn packet_id(&self) -> u16 {
        Cursor::new(&self.body).short()
    }

    /// Return code of CONNACK, reason of DISCONNECT or of an acknowledgement; 0 where it is left out.
    pub fn reason(&self) -> u8 {
        let at = match self.kind() {
            CONNACK => 1,
            DISCONNECT => 0,
            _ => 2,
        };
        self.body.get(at).copied().unwrap_or(0)
    }

    pub fn session_present(&self) -> bool {
        self.body.first() == Some(&1)
    }

    /// The properties of an MQTT 5 CONNACK.
    pub fn connack_properties(&self) -> Properties {
        Properties::read(&mut Cursor::new(&self.body[2..]))
    }

    /// The codes of SUBACK or UNSUBACK.
    pub fn codes(&self, version: Version) -> Vec<u8> {
        let mut cursor = Cursor::new(&self.body[2..]);
        if version == Version::V5 {
            Properties::read(&mut cursor);
        }
        cursor.rest().to_vec()
    }

    pub fn delivered(&self, version: Version) -> Delivered {
        assert_eq!(self.kind(), PUBLISH, "{self:?}");
        let mut cursor = Cursor::new(&self.body);
        let topic = cursor.text();
        let qos = self.first >> 1 & 3;
        let packet_id = if qos > 0 { cursor.short() } else { 0 };
        let properties = if version == Version::V5 { Properties::read(&mut cursor) } else { Properties::new() };
        let (retain, dup) = (self.first & 0x01 != 0, self.first & 0x08 != 0);
        let payload = String::from_utf8_lossy(cursor.rest()).into_owned();
        Delivered { topic, payload, qos, retain, dup, packet_id, properties }
    }
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#04x} [{}] \"{}\"", self.first, self.body.len(), self.body.escape_ascii())
    }
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub fn short(&mut self) -> u16 {
        let bytes = self.take(2);
        u16::from_be_bytes([bytes[0], bytes[1]])
    }

    pub fn text(&mut self) -> String {
        let length = self.short();
        String::from_utf8(self.take(length.into()).to_vec()).expect("a server sends UTF-8")
    }

    pub fn variable_integer(&mut self) -> usize {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte();
            value |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        panic!("a variable byte integer has four bytes at most [MQTT-1.5.5-1]");
    }

    /// The encoded value of a property (section 2.2.2.2).
    pub(super) fn property(&mut self, id: u8) -> Vec<u8> {
        let start = self.0;
        match id {
            id::EXPIRY | id::SESSION_EXPIRY | id::WILL_DELAY | id::MAXIMUM_PACKET_SIZE => drop(self.take(4)),
            0x13 | id::RECEIVE_MAXIMUM | id::TOPIC_ALIAS_MAXIMUM | id::TOPIC_ALIAS => drop(self.take(2)),
            id::SUBSCRIPTION_ID => drop(self.variable_integer()),
            id::USER => drop((self.string(), self.string())),
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => drop(self.take(1)),
            _ => self.string(),
        }
        start[..start.len() - self.0.len()].to_vec()
    }

    /// Skips text or binary data.
    fn string(&mut self) {
        let length = self.short();
        self.take(length.into());
    }
}

/// Bytes of fixed header and body, when all of the packet is there: for upstreams of benchmarks, which build no packets.
pub fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut body, mut shift) = (0, 0);
    for (index, byte) in bytes.get(1..)?.iter().take(4).enumerate() {
        body |= usize::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            let header = 2 + index;
            return (bytes.len() >= header + body).then_some((header, body));
        }
    }
    None
}
