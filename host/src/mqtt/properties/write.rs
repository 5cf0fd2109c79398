//! The properties of a PUBLISH on its way out.
//!
//! Ours, because rumqttd's writer of properties can only be reached through its writer of PUBLISH (see `publish`).

use super::id;
use crate::message::Properties;
use crate::mqtt::packet::Publish;
use crate::mqtt::wire::Sink;

/// Writes the block without its length: to a counter first, then to the output.
pub(in crate::mqtt) fn write_publish(publish: &Publish, out: &mut impl Sink) {
    if let Some(alias) = publish.topic_alias {
        out.bytes(&[id::TOPIC_ALIAS]);
        out.bytes(&alias.to_be_bytes());
    }
    for subscription in &publish.subscription_ids {
        out.bytes(&[id::SUBSCRIPTION_ID]);
        out.varint(*subscription as usize);
    }
    if let Some(properties) = &publish.properties {
        write_message(properties, out);
    }
}

/// A reason string, for DISCONNECT (section 3.14.2.2.3).
pub(in crate::mqtt) fn write_reason_string(text: &str, out: &mut impl Sink) {
    out.bytes(&[id::REASON_STRING]);
    out.field(text.as_bytes());
}

/// What travels with the message, unaltered and the user properties in their order [MQTT-3.3.2-17].
fn write_message(properties: &Properties, out: &mut impl Sink) {
    if properties.payload_is_utf8 {
        out.bytes(&[id::PAYLOAD_FORMAT, 1]);
    }
    if let Some(seconds) = properties.expiry {
        out.bytes(&[id::MESSAGE_EXPIRY]);
        out.bytes(&seconds.to_be_bytes());
    }
    let fields = [
        (id::CONTENT_TYPE, properties.content_type.as_ref().map(String::as_bytes)),
        (id::RESPONSE_TOPIC, properties.response_topic.as_ref().map(String::as_bytes)),
        (id::CORRELATION_DATA, properties.correlation_data.as_deref()),
    ];
    for (id, field) in fields {
        if let Some(field) = field {
            out.bytes(&[id]);
            out.field(field);
        }
    }
    for (name, value) in &properties.user {
        out.bytes(&[id::USER_PROPERTY]);
        out.field(name.as_bytes());
        out.field(value.as_bytes());
    }
}
