//! Properties on their way out. To a counter first, then to the output.

use super::id;
use crate::message::Properties;
use crate::mqtt::packet::Publish;
use crate::mqtt::wire::Sink;

/// The block of a PUBLISH without its length.
pub(in crate::mqtt) fn write_publish(publish: &Publish, out: &mut impl Sink) {
    if let Some(alias) = publish.topic_alias {
        write_number(id::TOPIC_ALIAS, &alias.to_be_bytes(), out);
    }
    for subscription in &publish.subscription_ids {
        out.bytes(&[id::SUBSCRIPTION_ID]);
        out.varint(*subscription as usize);
    }
    if let Some(properties) = &publish.properties {
        write_message(properties, out);
    }
}

pub(in crate::mqtt) fn write_number(id: u8, big_endian: &[u8], out: &mut impl Sink) {
    out.bytes(&[id]);
    out.bytes(big_endian);
}

pub(in crate::mqtt) fn write_field(id: u8, field: &[u8], out: &mut impl Sink) {
    out.bytes(&[id]);
    out.field(field);
}

/// What travels with the message, unaltered and the user properties in their order [MQTT-3.3.2-17].
pub(in crate::mqtt) fn write_message(properties: &Properties, out: &mut impl Sink) {
    if let Some(is_utf8) = properties.payload_is_utf8 {
        write_number(id::PAYLOAD_FORMAT, &[is_utf8.into()], out);
    }
    if let Some(seconds) = properties.expiry {
        write_number(id::MESSAGE_EXPIRY, &seconds.to_be_bytes(), out);
    }
    let fields = [
        (id::CONTENT_TYPE, properties.content_type.as_ref().map(String::as_bytes)),
        (id::RESPONSE_TOPIC, properties.response_topic.as_ref().map(String::as_bytes)),
        (id::CORRELATION_DATA, properties.correlation_data.as_deref()),
    ];
    for (id, field) in fields {
        if let Some(field) = field {
            write_field(id, field, out);
        }
    }
    write_user(&properties.user, out);
}

pub(in crate::mqtt) fn write_user(user: &[(String, String)], out: &mut impl Sink) {
    for (name, value) in user {
        out.bytes(&[id::USER_PROPERTY]);
        out.field(name.as_bytes());
        out.field(value.as_bytes());
    }
}
