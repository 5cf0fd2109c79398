//! CONNACK (MQTT 5, section 3.2), as a server writes it.

use bytes::BytesMut;

use super::Reason;
use super::packet::{ConnAck, Version};
use super::properties::{self, id};
use super::wire::{self, Block, Counter, Sink};

struct Properties<'a>(&'a ConnAck);

/// A text that is too long to be written is left out: the reason counts more than its explanation.
pub(super) fn encode(connack: &ConnAck, version: Version, out: &mut BytesMut) {
    // A refusal never claims a session [MQTT-3.2.2-6].
    let session_present = u8::from(connack.session_present && connack.reason == Reason::SUCCESS);
    if version == Version::V311 {
        if let Some(code) = connack.reason.connack_v311() {
            out.bytes(&[0x20, 2, session_present, code]);
        }
        return;
    }
    let mut counter = Counter::default();
    wire::block(&Properties(connack), &mut counter);
    out.bytes(&[0x20]);
    out.varint(2 + counter.total().unwrap_or_default());
    out.bytes(&[session_present, legal(connack.reason).0]);
    wire::block(&Properties(connack), out);
}

/// That of 3.1 says nothing of a session: the byte is unused (its section 3.2).
pub(super) fn encode_v31(connack: &ConnAck, out: &mut BytesMut) {
    if let Some(code) = connack.reason.connack_v311() {
        out.bytes(&[0x20, 2, 0, code]);
    }
}

/// The reason codes of a CONNACK [MQTT-3.2.2-8]. One that it does not have becomes the nearest that it has.
fn legal(reason: Reason) -> Reason {
    match reason.0 {
        0x00 | 0x80..=0x8A | 0x8C | 0x90 | 0x95 | 0x97 | 0x99..=0x9D | 0x9F => reason,
        _ if reason == Reason::SERVER_SHUTTING_DOWN => Reason::SERVER_UNAVAILABLE,
        _ => Reason::UNSPECIFIED_ERROR,
    }
}

impl Block for Properties<'_> {
    fn write(&self, out: &mut impl Sink) {
        let Self(connack) = self;
        if let Some(seconds) = connack.session_expiry {
            properties::write_number(id::SESSION_EXPIRY, &seconds.to_be_bytes(), out);
        }
        if let Some(most) = connack.receive_maximum {
            properties::write_number(id::RECEIVE_MAXIMUM, &most.to_be_bytes(), out);
        }
        if let Some(most) = connack.maximum_packet_size {
            properties::write_number(id::MAXIMUM_PACKET_SIZE, &most.to_be_bytes(), out);
        }
        if let Some(id) = &connack.assigned_client_id {
            properties::write_field(id::ASSIGNED_CLIENT_ID, id.as_bytes(), out);
        }
        if let Some(most) = connack.topic_alias_maximum {
            properties::write_number(id::TOPIC_ALIAS_MAXIMUM, &most.to_be_bytes(), out);
        }
        if let Some(seconds) = connack.server_keep_alive {
            properties::write_number(id::SERVER_KEEP_ALIVE, &seconds.to_be_bytes(), out);
        }
        if let Some(text) = connack.reason_string.as_ref().filter(|text| text.len() <= wire::MAX_FIELD) {
            properties::write_field(id::REASON_STRING, text.as_bytes(), out);
        }
    }
}
