//! DISCONNECT (MQTT 5, section 3.14).

use bytes::BytesMut;

use super::Reason;
use super::error::{DecodeError, protocol};
use super::frame::Header;
use super::packet::{Disconnect, Version};
use super::properties::{self, Place, Value, id};
use super::wire::{self, Block, Counter, Sink};

struct Properties<'a>(&'a str);

pub(super) fn decode(header: &Header, packet: &[u8], version: Version) -> Result<Disconnect, DecodeError> {
    let mut walk = header.body(packet);
    let mut disconnect = Disconnect::default();
    if version == Version::V5 && !walk.is_empty() {
        disconnect.reason = legal(walk.u8()?)?;
        if !walk.is_empty() {
            properties::each(&mut walk, Place::Disconnect, |id, value| match (id, value) {
                (id::SESSION_EXPIRY, Value::Number(seconds)) => disconnect.session_expiry = Some(seconds),
                (id::REASON_STRING, Value::Text(text)) => disconnect.reason_string = Some(text.into()),
                _ => {}
            })?;
        }
    }
    walk.finish()?;
    Ok(disconnect)
}

/// MQTT 5 only: in 3.1.1 a server says nothing and closes. The session expiry is the client's to send
/// [MQTT-3.14.2-2], so it is not written.
pub(super) fn encode(disconnect: &Disconnect, out: &mut BytesMut) {
    let text = disconnect.reason_string.as_deref().filter(|text| text.len() <= wire::MAX_FIELD);
    let Some(text) = text else { return out.bytes(&[0xE0, 1, disconnect.reason.0]) };
    let mut counter = Counter::default();
    wire::block(&Properties(text), &mut counter);
    out.bytes(&[0xE0]);
    out.varint(1 + counter.total().unwrap_or_default());
    out.bytes(&[disconnect.reason.0]);
    wire::block(&Properties(text), out);
}

impl Block for Properties<'_> {
    fn write(&self, out: &mut impl Sink) {
        properties::write_field(id::REASON_STRING, self.0.as_bytes(), out);
    }
}

/// The reason codes that a client may send (section 3.14.2.1) [MQTT-3.14.2-1].
fn legal(code: u8) -> Result<Reason, DecodeError> {
    match code {
        0x00 | 0x04 | 0x80..=0x83 | 0x90 | 0x93..=0x99 => Ok(Reason(code)),
        _ => Err(protocol("a reason code that a client does not send")),
    }
}
