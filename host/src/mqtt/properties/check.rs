//! The table of section 2.2.2.2, as far as a client may use it, and the walk that holds a packet to it.

use super::id;
use crate::mqtt::error::{DecodeError, malformed, protocol};
use crate::mqtt::reason::Reason;
use crate::mqtt::walk::Walk;
use crate::topic::{NameError, TopicName};

/// Where properties stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mqtt) enum Place {
    Connect,
    Will,
    Publish,
    /// PUBACK, PUBREC, PUBREL and PUBCOMP.
    Ack,
    Subscribe,
    Unsubscribe,
    Disconnect,
}

/// Which properties a packet had: one bit for each identifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::mqtt) struct Found(u64);

/// The type of a value and the values that it must not have.
#[derive(Clone, Copy)]
enum Value {
    /// 0 or 1.
    Flag,
    TwoBytes,
    TwoBytesNotZero,
    FourBytes,
    FourBytesNotZero,
    SubscriptionId,
    TopicAlias,
    Text,
    Topic,
    Binary,
    TextPair,
}

/// Walks one block of properties, its length included.
pub(in crate::mqtt) fn check(walk: &mut Walk<'_>, place: Place) -> Result<Found, DecodeError> {
    let length = walk.varint()?;
    let mut block = walk.block(length)?;
    let mut found = Found::default();
    while !block.is_empty() {
        let id = block.u8()?;
        let value = rule(id, place)?;
        value.walk(&mut block)?;
        if found.insert(id) && id != id::USER_PROPERTY {
            return Err(protocol("a property more than once"));
        }
    }
    found.check_together()?;
    Ok(found)
}

/// What this property may be here. One that does not belong to this packet makes it malformed (section 2.2.2.2).
fn rule(id: u8, place: Place) -> Result<Value, DecodeError> {
    use Place::{Ack, Connect, Disconnect, Publish, Subscribe, Will};
    let value = match (id, place) {
        (id::USER_PROPERTY, _) => Value::TextPair,
        (id::PAYLOAD_FORMAT, Publish | Will) => Value::Flag,
        (id::MESSAGE_EXPIRY, Publish | Will) => Value::FourBytes,
        (id::CONTENT_TYPE, Publish | Will) => Value::Text,
        (id::RESPONSE_TOPIC, Publish | Will) => Value::Topic,
        (id::CORRELATION_DATA, Publish | Will) => Value::Binary,
        (id::TOPIC_ALIAS, Publish) => Value::TopicAlias,
        (id::WILL_DELAY, Will) => Value::FourBytes,
        (id::SUBSCRIPTION_ID, Subscribe) => Value::SubscriptionId,
        (id::SESSION_EXPIRY, Connect | Disconnect) => Value::FourBytes,
        (id::RECEIVE_MAXIMUM, Connect) => Value::TwoBytesNotZero,
        (id::MAXIMUM_PACKET_SIZE, Connect) => Value::FourBytesNotZero,
        (id::TOPIC_ALIAS_MAXIMUM, Connect) => Value::TwoBytes,
        (id::REQUEST_RESPONSE_INFORMATION | id::REQUEST_PROBLEM_INFORMATION, Connect) => Value::Flag,
        (id::AUTHENTICATION_METHOD, Connect) => Value::Text,
        (id::AUTHENTICATION_DATA, Connect) => Value::Binary,
        (id::REASON_STRING, Ack | Disconnect) => Value::Text,
        // These two belong to the packet, but only in the other direction [MQTT-3.3.4-6] (section 3.14.2.2.5).
        (id::SUBSCRIPTION_ID, Publish) | (id::SERVER_REFERENCE, Disconnect) => {
            return Err(protocol("a property that only a server sends"));
        }
        _ => return Err(malformed("a property that does not belong to this packet")),
    };
    Ok(value)
}

// === impl Value ===

impl Value {
    fn walk(self, block: &mut Walk<'_>) -> Result<(), DecodeError> {
        let allowed = match self {
            Self::Flag => block.u8()? <= 1,
            Self::TwoBytes => block.u16().map(|_| true)?,
            Self::TwoBytesNotZero => block.u16()? != 0,
            Self::FourBytes => block.u32().map(|_| true)?,
            Self::FourBytesNotZero => block.u32()? != 0,
            Self::SubscriptionId => block.varint()? != 0,
            Self::TopicAlias => return topic_alias(block),
            Self::Text => block.text().map(|_| true)?,
            Self::Topic => response_topic(block.text()?),
            Self::Binary => block.binary().map(|_| true)?,
            Self::TextPair => block.text().and_then(|_| block.text()).map(|_| true)?,
        };
        if allowed { Ok(()) } else { Err(protocol("a property has a value that is not allowed")) }
    }
}

/// [MQTT-3.3.2-8]. Whether the alias is within the maximum that we announced is for the session to say.
fn topic_alias(block: &mut Walk<'_>) -> Result<(), DecodeError> {
    match block.u16()? {
        0 => Err(DecodeError { reason: Reason::TOPIC_ALIAS_INVALID, detail: "topic alias 0" }),
        _ => Ok(()),
    }
}

/// A topic name: not empty and without wildcards [MQTT-3.3.2-14]. How deep it is does not matter, we never look it up.
fn response_topic(text: &str) -> bool {
    matches!(TopicName::parse(text), Ok(_) | Err(NameError::TooDeep))
}

// === impl Found ===

impl Found {
    /// Whether there was any at all: most packets have none, and need no second look.
    pub fn any(self) -> bool {
        self.0 != 0
    }

    pub fn topic_alias(self) -> bool {
        self.has(id::TOPIC_ALIAS)
    }

    fn has(self, id: u8) -> bool {
        self.0 & bit(id) != 0
    }

    /// Says whether it was there before.
    fn insert(&mut self, id: u8) -> bool {
        let before = self.has(id);
        self.0 |= bit(id);
        before
    }

    /// Authentication data says nothing without a method (section 3.1.2.11.10).
    fn check_together(self) -> Result<(), DecodeError> {
        if self.has(id::AUTHENTICATION_DATA) && !self.has(id::AUTHENTICATION_METHOD) {
            return Err(protocol("authentication data without an authentication method"));
        }
        Ok(())
    }
}

/// Known identifiers are below 64; `rule` has refused the others.
fn bit(id: u8) -> u64 {
    1_u64.checked_shl(id.into()).unwrap_or_default()
}
