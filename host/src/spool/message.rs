//! A message as bytes.
//!
//! ```text
//! struct Message {
//!     flags: u8,                        // QoS in the two low bits, then RETAIN, PROPERTIES
//!     topic: text,
//!     properties: Properties,           // when the flag says so
//!     payload: the rest,
//! }
//! struct Properties {
//!     flags: u8,                        // PAYLOAD_IS_UTF8 or PAYLOAD_IS_BYTES, and which of the optional fields follow
//!     expiry: u32, content_type: bytes, response_topic: bytes, correlation_data: bytes,
//!     user: u32 count, then (name: bytes, value: bytes)*,
//! }
//! ```
//!
//! The payload comes last and without a length of its own, so that a reader takes it as a slice of what it read.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::wire::{Fields, WireError, put_bytes, put_text};
use crate::message::{Message, Properties, QoS};
use crate::topic::TopicName;

pub(super) const QOS: u8 = 0b11;
pub(super) const RETAIN: u8 = 1 << 2;
pub(super) const PROPERTIES: u8 = 1 << 3;

const PAYLOAD_IS_UTF8: u8 = 1;
const EXPIRY: u8 = 1 << 1;
const CONTENT_TYPE: u8 = 1 << 2;
const RESPONSE_TOPIC: u8 = 1 << 3;
const CORRELATION_DATA: u8 = 1 << 4;
const PAYLOAD_IS_BYTES: u8 = 1 << 5;

pub fn encode_message(message: &Message, out: &mut BytesMut) {
    out.put_u8(flags_of(message));
    put_text(out, message.topic.as_str());
    if let Some(properties) = &message.properties {
        encode_properties(properties, out);
    }
    out.put_slice(&message.payload);
}

pub(super) fn flags_of(message: &Message) -> u8 {
    let retain = if message.retain { RETAIN } else { 0 };
    let properties = if message.properties.is_some() { PROPERTIES } else { 0 };
    message.qos as u8 | retain | properties
}

/// The payload is copied, so that a small message does not keep alive the large piece of the log that it was read with.
pub fn decode_message(bytes: &[u8]) -> Result<Message, WireError> {
    let mut fields = Fields::new(bytes);
    let flags = fields.u8()?;
    if flags & !(QOS | RETAIN | PROPERTIES) != 0 {
        return Err(WireError::Unknown { what: "flag of a message", tag: flags });
    }
    let qos = QoS::from_bits(flags & QOS).ok_or(WireError::Unknown { what: "QoS", tag: flags })?;
    let topic = TopicName::parse(fields.text()?)?;
    let properties = if flags & PROPERTIES != 0 { Some(Arc::new(decode_properties(&mut fields)?)) } else { None };
    let payload = Bytes::copy_from_slice(fields.rest());
    Ok(Message { topic, payload, qos, retain: flags & RETAIN != 0, properties })
}

/// The message expiry interval, of encoded properties.
pub(super) fn expiry_of(properties: &[u8]) -> Option<u32> {
    let mut fields = Fields::new(properties);
    let expires = fields.u8().ok()? & EXPIRY != 0;
    if expires { fields.u32().ok() } else { None }
}

/// The bytes of properties, which are not looked at.
pub(super) fn skip_properties<'a>(fields: &mut Fields<'a>) -> Result<&'a [u8], WireError> {
    fields.covered(|fields| {
        let flags = fields.u8()?;
        if flags & EXPIRY != 0 {
            fields.u32()?;
        }
        for flag in [CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA] {
            if flags & flag != 0 {
                fields.bytes()?;
            }
        }
        for _ in 0..fields.u32()? {
            fields.bytes()?;
            fields.bytes()?;
        }
        Ok(())
    })
}

pub(super) fn encode_properties(properties: &Properties, out: &mut BytesMut) {
    let flag = |present: bool, flag: u8| if present { flag } else { 0 };
    out.put_u8(
        flag(properties.payload_is_utf8 == Some(true), PAYLOAD_IS_UTF8)
            | flag(properties.payload_is_utf8 == Some(false), PAYLOAD_IS_BYTES)
            | flag(properties.expiry.is_some(), EXPIRY)
            | flag(properties.content_type.is_some(), CONTENT_TYPE)
            | flag(properties.response_topic.is_some(), RESPONSE_TOPIC)
            | flag(properties.correlation_data.is_some(), CORRELATION_DATA),
    );
    if let Some(expiry) = properties.expiry {
        out.put_u32_le(expiry);
    }
    let texts = [&properties.content_type, &properties.response_topic];
    texts.into_iter().flatten().for_each(|text| put_bytes(out, text.as_bytes()));
    if let Some(data) = &properties.correlation_data {
        put_bytes(out, data);
    }
    out.put_u32_le(properties.user.len() as u32);
    for (name, value) in &properties.user {
        put_bytes(out, name.as_bytes());
        put_bytes(out, value.as_bytes());
    }
}

pub(super) fn decode_properties(fields: &mut Fields<'_>) -> Result<Properties, WireError> {
    let flags = fields.u8()?;
    let has = |flag: u8| flags & flag != 0;
    let payload_is_utf8 = (has(PAYLOAD_IS_UTF8) || has(PAYLOAD_IS_BYTES)).then(|| has(PAYLOAD_IS_UTF8));
    let mut properties = Properties { payload_is_utf8, ..Properties::default() };
    if has(EXPIRY) {
        properties.expiry = Some(fields.u32()?);
    }
    if has(CONTENT_TYPE) {
        properties.content_type = Some(string(fields)?);
    }
    if has(RESPONSE_TOPIC) {
        properties.response_topic = Some(string(fields)?);
    }
    if has(CORRELATION_DATA) {
        properties.correlation_data = Some(Bytes::copy_from_slice(fields.bytes()?));
    }
    for _ in 0..fields.u32()? {
        properties.user.push((string(fields)?, string(fields)?));
    }
    Ok(properties)
}

fn string(fields: &mut Fields<'_>) -> Result<String, WireError> {
    String::from_utf8(fields.bytes()?.to_vec()).map_err(|_| WireError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn properties() -> impl Strategy<Value = Properties> {
        let text = || prop::option::of("[a-zé]{0,20}".prop_map(String::from));
        let data = prop::option::of(prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from));
        let user = prop::collection::vec(("[a-z]{0,5}", "[a-zé]{0,9}"), 0..4);
        (any::<Option<bool>>(), any::<Option<u32>>(), text(), text(), data, user).prop_map(
            |(payload_is_utf8, expiry, content_type, response_topic, correlation_data, user)| Properties {
                payload_is_utf8,
                expiry,
                content_type,
                response_topic,
                correlation_data,
                user,
            },
        )
    }

    fn messages() -> impl Strategy<Value = Message> {
        let payload = prop::collection::vec(any::<u8>(), 0..300);
        ("[a-zé/]{1,30}", payload, 0..3_u8, any::<bool>(), prop::option::of(properties())).prop_map(
            |(topic, payload, qos, retain, properties)| Message {
                topic: TopicName::parse(&topic).unwrap(),
                payload: payload.into(),
                qos: QoS::from_bits(qos).unwrap(),
                retain,
                properties: properties.map(Arc::new),
            },
        )
    }

    proptest! {
        #[test]
        fn a_message_reads_as_it_was_written(message in messages()) {
            let mut out = BytesMut::new();
            encode_message(&message, &mut out);
            prop_assert_eq!(decode_message(&out), Ok(message));
        }

        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = decode_message(&bytes);
        }
    }
}
