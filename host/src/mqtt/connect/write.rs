//! Our own CONNECT, to an upstream.

use bytes::BytesMut;

use super::flags::Flags;
use crate::mqtt::Version;
use crate::mqtt::packet::{Connect, Will};
use crate::mqtt::properties::{self, id};
use crate::mqtt::wire::{self, Block, Counter, Sink};

struct OwnProperties<'a>(&'a Connect);

struct WillProperties<'a>(&'a Will);

/// Appends the packet. `None`, and nothing is appended, when a field is longer than MQTT can say.
pub(in crate::mqtt) fn encode(connect: &Connect, out: &mut BytesMut) -> Option<()> {
    let mut counter = Counter::default();
    write(connect, &mut counter);
    let remaining = counter.total()?;
    out.reserve(wire::packet_size(remaining)?);
    out.bytes(&[0x10]);
    out.varint(remaining);
    write(connect, out);
    Some(())
}

/// In the order of section 3.1.3 [MQTT-3.1.3-1].
fn write(connect: &Connect, out: &mut impl Sink) {
    let is_v5 = connect.version == Version::V5;
    out.field(b"MQTT");
    out.bytes(&[if is_v5 { 5 } else { 4 }, Flags::of(connect).byte()]);
    out.bytes(&connect.keep_alive.to_be_bytes());
    if is_v5 {
        wire::block(&OwnProperties(connect), out);
    }
    out.field(connect.client_id.as_bytes());
    if let Some(will) = &connect.will {
        if is_v5 {
            wire::block(&WillProperties(will), out);
        }
        out.field(will.message.topic.as_str().as_bytes());
        out.field(&will.message.payload);
    }
    if let Some(username) = &connect.username {
        out.field(username.as_bytes());
    }
    if let Some(password) = &connect.password {
        out.field(&password.0);
    }
}

impl Block for OwnProperties<'_> {
    fn write(&self, out: &mut impl Sink) {
        let Self(connect) = self;
        if let Some(seconds) = connect.session_expiry {
            properties::write_number(id::SESSION_EXPIRY, &seconds.to_be_bytes(), out);
        }
        if let Some(most) = connect.receive_maximum {
            properties::write_number(id::RECEIVE_MAXIMUM, &most.to_be_bytes(), out);
        }
        if let Some(most) = connect.maximum_packet_size {
            properties::write_number(id::MAXIMUM_PACKET_SIZE, &most.to_be_bytes(), out);
        }
        if connect.topic_alias_maximum > 0 {
            properties::write_number(id::TOPIC_ALIAS_MAXIMUM, &connect.topic_alias_maximum.to_be_bytes(), out);
        }
        if let Some(method) = &connect.authentication_method {
            properties::write_field(id::AUTHENTICATION_METHOD, method.as_bytes(), out);
        }
        properties::write_user(&connect.user_properties, out);
    }
}

impl Block for WillProperties<'_> {
    fn write(&self, out: &mut impl Sink) {
        let Self(will) = self;
        if will.delay > 0 {
            properties::write_number(id::WILL_DELAY, &will.delay.to_be_bytes(), out);
        }
        if let Some(properties) = &will.message.properties {
            properties::write_message(properties, out);
        }
    }
}
