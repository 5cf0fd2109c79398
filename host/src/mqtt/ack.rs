//! PUBACK, PUBREC, PUBREL and PUBCOMP (MQTT 5, sections 3.4 to 3.7), in both directions.
//!
//! Four bytes as a rule.

use bytes::{BufMut, BytesMut};

use super::Reason;
use super::error::{DecodeError, protocol};
use super::frame::{Header, Kind};
use super::packet::{Ack, Version};
use super::properties::{self, Place};

/// In MQTT 5 the reason may be missing (Success), and so may the properties after it (section 3.4.2.1). What they
/// say, a text for people, is checked and dropped.
pub(super) fn decode(header: &Header, packet: &[u8], version: Version) -> Result<Ack, DecodeError> {
    let mut walk = header.body(packet);
    let packet_id = walk.packet_id()?;
    let mut reason = Reason::SUCCESS;
    if version == Version::V5 && !walk.is_empty() {
        reason = legal(header.kind, walk.u8()?)?;
        if !walk.is_empty() {
            properties::skip(&mut walk, Place::Ack)?;
        }
    }
    walk.finish()?;
    Ok(Ack { packet_id, reason })
}

/// `first` is the first byte of the packet. Success is the short form in both versions; 3.1.1 has no other.
pub(super) fn encode(first: u8, ack: &Ack, version: Version, out: &mut BytesMut) {
    let short = version == Version::V311 || ack.reason == Reason::SUCCESS;
    out.put_slice(&[first, if short { 2 } else { 3 }]);
    out.put_u16(ack.packet_id);
    if !short {
        out.put_u8(ack.reason.0);
    }
}

/// The reason codes of each packet [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1].
fn legal(kind: Kind, code: u8) -> Result<Reason, DecodeError> {
    let legal = match kind {
        Kind::PubAck | Kind::PubRec => {
            matches!(code, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99)
        }
        _ => matches!(code, 0x00 | 0x92),
    };
    if legal { Ok(Reason(code)) } else { Err(protocol("a reason code that this packet does not have")) }
}
