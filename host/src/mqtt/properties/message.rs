//! The properties that travel with a message, of a PUBLISH or of a will.

use bytes::Bytes;

use super::{Value, id};
use crate::message::Properties;

/// Takes one that was read. `own` makes bytes of the packet those of the message: a slice, or a copy.
pub(in crate::mqtt) fn keep(properties: &mut Properties, id: u8, value: Value<'_>, own: impl Fn(&[u8]) -> Bytes) {
    match (id, value) {
        (id::PAYLOAD_FORMAT, Value::Number(flag)) => properties.payload_is_utf8 = Some(flag == 1),
        (id::MESSAGE_EXPIRY, Value::Number(seconds)) => properties.expiry = Some(seconds),
        (id::CONTENT_TYPE, Value::Text(text)) => properties.content_type = Some(text.into()),
        (id::RESPONSE_TOPIC, Value::Text(text)) => properties.response_topic = Some(text.into()),
        (id::CORRELATION_DATA, Value::Binary(data)) => properties.correlation_data = Some(own(data)),
        // May repeat, and its order counts [MQTT-3.3.2-18].
        (id::USER_PROPERTY, Value::Pair(name, value)) => properties.user.push((name.into(), value.into())),
        _ => {}
    }
}
