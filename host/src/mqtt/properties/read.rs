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

/// A value that its place allows. Texts and bytes are those of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mqtt) enum Value<'a> {
    Number(u32),
    Text(&'a str),
    Binary(&'a [u8]),
    Pair(&'a str, &'a str),
}

/// The type of a value and the values that it must not have.
#[derive(Clone, Copy)]
enum Rule {
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

/// Which properties there were: one bit for each identifier.
#[derive(Default)]
struct Seen(u64);

/// Reads one block of properties, its length included, and hands over each that is allowed here. After an error, what was
/// handed over means nothing.
pub(in crate::mqtt) fn each<'a>(
    walk: &mut Walk<'a>,
    place: Place,
    mut take: impl FnMut(u8, Value<'a>),
) -> Result<(), DecodeError> {
    let length = walk.varint()?;
    let mut block = walk.block(length)?;
    let mut seen = Seen::default();
    while !block.is_empty() {
        let id = block.u8()?;
        let value = rule(id, place)?.read(&mut block)?;
        if seen.insert(id) && id != id::USER_PROPERTY {
            return Err(protocol("a property more than once"));
        }
        take(id, value);
    }
    seen.check_together()
}

/// For packets whose properties say nothing that we use: they are held to the specification all the same.
pub(in crate::mqtt) fn skip(walk: &mut Walk<'_>, place: Place) -> Result<(), DecodeError> {
    each(walk, place, |_, _| {})
}

/// What this property may be here. One that does not belong to this packet makes it malformed (section 2.2.2.2).
fn rule(id: u8, place: Place) -> Result<Rule, DecodeError> {
    use Place::{Ack, Connect, Disconnect, Publish, Subscribe, Will};
    let rule = match (id, place) {
        (id::USER_PROPERTY, _) => Rule::TextPair,
        (id::PAYLOAD_FORMAT, Publish | Will) => Rule::Flag,
        (id::MESSAGE_EXPIRY, Publish | Will) => Rule::FourBytes,
        (id::CONTENT_TYPE, Publish | Will) => Rule::Text,
        (id::RESPONSE_TOPIC, Publish | Will) => Rule::Topic,
        (id::CORRELATION_DATA, Publish | Will) => Rule::Binary,
        (id::TOPIC_ALIAS, Publish) => Rule::TopicAlias,
        (id::WILL_DELAY, Will) => Rule::FourBytes,
        (id::SUBSCRIPTION_ID, Subscribe) => Rule::SubscriptionId,
        (id::SESSION_EXPIRY, Connect | Disconnect) => Rule::FourBytes,
        (id::RECEIVE_MAXIMUM, Connect) => Rule::TwoBytesNotZero,
        (id::MAXIMUM_PACKET_SIZE, Connect) => Rule::FourBytesNotZero,
        (id::TOPIC_ALIAS_MAXIMUM, Connect) => Rule::TwoBytes,
        (id::REQUEST_RESPONSE_INFORMATION | id::REQUEST_PROBLEM_INFORMATION, Connect) => Rule::Flag,
        (id::AUTHENTICATION_METHOD, Connect) => Rule::Text,
        (id::AUTHENTICATION_DATA, Connect) => Rule::Binary,
        (id::REASON_STRING, Ack | Disconnect) => Rule::Text,
        // These two belong to the packet, but only in the other direction [MQTT-3.3.4-6] (section 3.14.2.2.5).
        (id::SUBSCRIPTION_ID, Publish) | (id::SERVER_REFERENCE, Disconnect) => {
            return Err(protocol("a property that only a server sends"));
        }
        _ => return Err(malformed("a property that does not belong to this packet")),
    };
    Ok(rule)
}

// === impl Rule ===

impl Rule {
    fn read<'a>(self, block: &mut Walk<'a>) -> Result<Value<'a>, DecodeError> {
        let not_zero = |number: u32| if number == 0 { Err(not_allowed()) } else { Ok(Value::Number(number)) };
        match self {
            Self::Flag => match block.u8()? {
                flag @ (0 | 1) => Ok(Value::Number(flag.into())),
                _ => Err(not_allowed()),
            },
            Self::TwoBytes => Ok(Value::Number(block.u16()?.into())),
            Self::TwoBytesNotZero => not_zero(block.u16()?.into()),
            Self::FourBytes => Ok(Value::Number(block.u32()?)),
            Self::FourBytesNotZero => not_zero(block.u32()?),
            Self::SubscriptionId => not_zero(block.varint()? as u32),
            Self::TopicAlias => topic_alias(block.u16()?),
            Self::Text => block.text().map(Value::Text),
            Self::Topic => response_topic(block.text()?),
            Self::Binary => block.binary().map(Value::Binary),
            Self::TextPair => Ok(Value::Pair(block.text()?, block.text()?)),
        }
    }
}

/// [MQTT-3.3.2-8]. Whether the alias is within the maximum that we announced is for the session to say.
fn topic_alias<'a>(alias: u16) -> Result<Value<'a>, DecodeError> {
    match alias {
        0 => Err(DecodeError { reason: Reason::TOPIC_ALIAS_INVALID, detail: "topic alias 0" }),
        alias => Ok(Value::Number(alias.into())),
    }
}

/// A topic name: not empty and without wildcards [MQTT-3.3.2-14]. How deep it is does not matter, we never look it up.
fn response_topic(text: &str) -> Result<Value<'_>, DecodeError> {
    match TopicName::parse(text) {
        Ok(_) | Err(NameError::TooDeep) => Ok(Value::Text(text)),
        Err(_) => Err(not_allowed()),
    }
}

fn not_allowed() -> DecodeError {
    protocol("a property has a value that is not allowed")
}

// === impl Seen ===

impl Seen {
    /// Says whether it was there before.
    fn insert(&mut self, id: u8) -> bool {
        let before = self.has(id);
        self.0 |= bit(id);
        before
    }

    fn has(&self, id: u8) -> bool {
        self.0 & bit(id) != 0
    }

    /// Authentication data says nothing without a method (section 3.1.2.11.10).
    fn check_together(&self) -> Result<(), DecodeError> {
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
