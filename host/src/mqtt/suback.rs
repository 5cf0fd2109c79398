//! SUBACK and UNSUBACK (MQTT 5, sections 3.9 and 3.11), as a server writes them and a client reads them: one reason for each filter, in order
//! [MQTT-3.8.4-6] [MQTT-3.11.3-1]. A reason that a packet does not have becomes the nearest that it has.

use bytes::{BufMut, BytesMut};

use super::Reason;
use super::error::{DecodeError, protocol};
use super::packet::{ReasonList, Version};
use super::properties::{self, Place};
use super::walk::Walk;
use super::wire::{self, Sink};

pub(super) fn encode(list: &ReasonList, version: Version, out: &mut BytesMut) {
    let code = if version == Version::V5 { suback_v5 } else { suback_v311 };
    write(0x90, list.packet_id, version, list.reasons.iter().map(|reason| code(*reason).0), out);
}

/// That of 3.1 cannot refuse (its section 3.9): it grants a QoS, and the lowest one is the nearest to nothing.
pub(super) fn encode_v31(list: &ReasonList, out: &mut BytesMut) {
    let granted = |reason: &Reason| if reason.is_failure() { 0 } else { suback_v311(*reason).0 };
    write(0x90, list.packet_id, Version::V311, list.reasons.iter().map(granted), out);
}

/// In 3.1.1 only the packet identifier is written.
pub(super) fn encode_unsuback(list: &ReasonList, version: Version, out: &mut BytesMut) {
    let reasons = if version == Version::V5 { &list.reasons[..] } else { &[] };
    write(0xB0, list.packet_id, version, reasons.iter().map(|reason| unsuback(*reason).0), out);
}

/// There are never more reasons than the packet they answer had filters, and each filter has three bytes: what we could read
/// can be answered.
fn write(first: u8, packet_id: u16, version: Version, codes: impl ExactSizeIterator<Item = u8>, out: &mut BytesMut) {
    let properties: &[u8] = if version == Version::V5 { &[0] } else { &[] };
    let remaining = 2 + properties.len() + codes.len();
    debug_assert!(remaining <= wire::MAX_VARINT, "a filter has more bytes than its reason");
    out.put_u8(first);
    out.varint(remaining);
    out.put_u16(packet_id);
    out.put_slice(properties);
    out.extend(codes);
}

/// What an upstream answers to our SUBSCRIBE. Any code: what is no failure is taken for granted, what is one for refused.
pub(super) fn decode(walk: &mut Walk<'_>, version: Version) -> Result<ReasonList, DecodeError> {
    let list = decode_unsuback(walk, version)?;
    if list.reasons.is_empty() {
        return Err(protocol("SUBACK without a reason"));
    }
    Ok(list)
}

/// In 3.1.1 it has no reasons.
pub(super) fn decode_unsuback(walk: &mut Walk<'_>, version: Version) -> Result<ReasonList, DecodeError> {
    let packet_id = walk.packet_id()?;
    if version == Version::V5 {
        // A text for people and pairs of texts, as in the other acks.
        properties::skip(walk, Place::Ack)?;
    }
    let mut reasons = Vec::new();
    while !walk.is_empty() {
        reasons.push(Reason(walk.u8()?));
    }
    Ok(ReasonList { packet_id, reasons })
}

/// [MQTT-3.9.3-2] of 3.1.1.
fn suback_v311(reason: Reason) -> Reason {
    if reason.0 <= 2 { reason } else { Reason::UNSPECIFIED_ERROR }
}

/// [MQTT-3.9.3-2]
fn suback_v5(reason: Reason) -> Reason {
    match reason.0 {
        0x00..=0x02 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91 | 0x97 | 0x9E | 0xA1 | 0xA2 => reason,
        _ => Reason::UNSPECIFIED_ERROR,
    }
}

/// [MQTT-3.11.3-2]
fn unsuback(reason: Reason) -> Reason {
    match reason.0 {
        0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8F | 0x91 => reason,
        _ => Reason::UNSPECIFIED_ERROR,
    }
}
