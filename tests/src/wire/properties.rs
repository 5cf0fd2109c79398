//! The property block of MQTT 5 (section 2.2.2).

use super::build::{text, variable_integer};
use super::read::Cursor;

/// Property identifiers.
pub mod id {
    pub const EXPIRY: u8 = 0x02;
    pub const CONTENT_TYPE: u8 = 0x03;
    pub const RESPONSE_TOPIC: u8 = 0x08;
    pub const CORRELATION_DATA: u8 = 0x09;
    pub const SUBSCRIPTION_ID: u8 = 0x0B;
    pub const SESSION_EXPIRY: u8 = 0x11;
    pub const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub const WILL_DELAY: u8 = 0x18;
    pub const RECEIVE_MAXIMUM: u8 = 0x21;
    pub const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub const TOPIC_ALIAS: u8 = 0x23;
    pub const MAXIMUM_QOS: u8 = 0x24;
    pub const USER: u8 = 0x26;
    pub const MAXIMUM_PACKET_SIZE: u8 = 0x27;
    pub const PAYLOAD_FORMAT: u8 = 0x01;
}

/// Identifier and encoded value of each property, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(Vec<(u8, Vec<u8>)>);

// === impl Properties: building ===

impl Properties {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn byte(self, id: u8, value: u8) -> Self {
        self.raw(id, vec![value])
    }

    pub fn short(self, id: u8, value: u16) -> Self {
        self.raw(id, value.to_be_bytes().to_vec())
    }

    pub fn long(self, id: u8, value: u32) -> Self {
        self.raw(id, value.to_be_bytes().to_vec())
    }

    pub fn variable(self, id: u8, value: usize) -> Self {
        self.raw(id, variable_integer(value))
    }

    pub fn text(self, id: u8, value: &str) -> Self {
        self.raw(id, text(value))
    }

    pub fn user(self, name: &str, value: &str) -> Self {
        self.raw(id::USER, [text(name), text(value)].concat())
    }

    /// With its length in front.
    pub fn encode(&self) -> Vec<u8> {
        let body: Vec<u8> = self.0.iter().flat_map(|(id, value)| [&[*id], value.as_slice()].concat()).collect();
        [variable_integer(body.len()), body].concat()
    }

    fn raw(mut self, id: u8, value: Vec<u8>) -> Self {
        self.0.push((id, value));
        self
    }
}

// === impl Properties: reading ===

impl Properties {
    pub fn read(cursor: &mut Cursor) -> Self {
        let length = cursor.variable_integer();
        let mut block = Cursor::new(cursor.take(length));
        let mut properties = Self::new();
        while !block.is_empty() {
            let id = block.byte();
            let value = block.property(id);
            properties = properties.raw(id, value);
        }
        properties
    }

    /// The number in this property, whatever its width.
    pub fn number(&self, id: u8) -> Option<u32> {
        let value = self.all(id).next()?;
        Some(match id {
            id::SUBSCRIPTION_ID => Cursor::new(value).variable_integer() as u32,
            _ => value.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)),
        })
    }

    pub fn string(&self, id: u8) -> Option<String> {
        Some(Cursor::new(self.all(id).next()?).text())
    }

    pub fn subscription_ids(&self) -> Vec<usize> {
        self.all(id::SUBSCRIPTION_ID).map(|value| Cursor::new(value).variable_integer()).collect()
    }

    pub fn users(&self) -> Vec<(String, String)> {
        let pair = |value| {
            let mut cursor = Cursor::new(value);
            (cursor.text(), cursor.text())
        };
        self.all(id::USER).map(pair).collect()
    }

    pub fn has_user(&self, name: &str, value: &str) -> bool {
        self.users().iter().any(|user| user.0 == name && user.1 == value)
    }

    fn all(&self, id: u8) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |property| property.0 == id).map(|property| property.1.as_slice())
    }
}
