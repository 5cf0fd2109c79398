//! DISCONNECT (MQTT 5, section 3.14).
//!
//! rumqttd's decoder waits for ever for the rest of `e0 01 04`, which is complete, so it only sees those that have
//! properties. Its writer is not used: it would want each reason as an enum of twenty-nine, to make a byte of it.

use bytes::{BufMut, BytesMut};

use super::error::{DecodeError, protocol};
use super::frame::Header;
use super::packet::{Disconnect, Version};
use super::properties::{self, Place};
use super::wire::{self, Counter, Sink};
use super::{Reason, inbound};

pub(super) fn decode(header: &Header, packet: BytesMut, version: Version) -> Result<Disconnect, DecodeError> {
    let mut walk = header.body(&packet);
    let mut disconnect = Disconnect::default();
    if version == Version::V5 && !walk.is_empty() {
        disconnect.reason = legal(walk.u8()?)?;
        if !walk.is_empty() {
            let found = properties::check(&mut walk, Place::Disconnect)?;
            walk.finish()?;
            return if found.any() { inbound::disconnect(packet, disconnect) } else { Ok(disconnect) };
        }
    }
    walk.finish()?;
    Ok(disconnect)
}

/// MQTT 5 only: in 3.1.1 a server says nothing and closes. The session expiry is the client's to send
/// [MQTT-3.14.2-2], so it is not written.
pub(super) fn encode(disconnect: &Disconnect, out: &mut BytesMut) {
    out.put_u8(0xE0);
    let text = disconnect.reason_string.as_deref().filter(|text| text.len() <= wire::MAX_FIELD);
    let Some(text) = text else {
        out.put_slice(&[1, disconnect.reason.0]);
        return;
    };
    let mut properties = Counter::default();
    properties::write_reason_string(text, &mut properties);
    let length = properties.total().unwrap_or_default();
    out.varint(1 + wire::varint_size(length) + length);
    out.put_u8(disconnect.reason.0);
    out.varint(length);
    properties::write_reason_string(text, out);
}

/// The reason codes that a client may send (section 3.14.2.1) [MQTT-3.14.2-1].
fn legal(code: u8) -> Result<Reason, DecodeError> {
    match code {
        0x00 | 0x04 | 0x80..=0x83 | 0x90 | 0x93..=0x99 => Ok(Reason(code)),
        _ => Err(protocol("a reason code that a client does not send")),
    }
}
