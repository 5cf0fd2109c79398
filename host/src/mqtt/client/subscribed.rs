//! What a server sends because something was subscribed: messages, and the answers to SUBSCRIBE and UNSUBSCRIBE. In the decoders that read
//! them from devices, which hold them to the specification.
//!
//! **A message that cannot be taken is no end of the connection.** The server would send it again on the next one, and nothing else would ever
//! pass. Its exchange is answered, as far as it says which one it is, and the rest is passed over: a malformed one as a whole, one that is
//! larger than we take while it arrives, without being kept.

use bytes::{Buf, BytesMut};

use super::frame::Frame;
use super::{Incoming, UNREADABLE};
use crate::message::QoS;
use crate::mqtt::frame::Header;
use crate::mqtt::walk::Walk;
use crate::mqtt::{DecodeError, Reason, Version, publish, suback, wire};
use crate::topic::TopicName;

pub(super) const PUBLISH: u8 = 3;
pub(super) const SUBACK: u8 = 9;
pub(super) const UNSUBACK: u8 = 11;

/// The longest topic with its length, and a packet identifier behind it.
const LONGEST_HEAD: usize = 65_535 + 4;

/// Whether a PUBLISH may be kept while it arrives.
pub(super) enum Size {
    /// Or it is no PUBLISH.
    Fits,
    /// It does not, and which exchange it is has not arrived.
    Unknown,
    TooLarge {
        packet: Incoming,
        /// All of it, to be passed over.
        size: usize,
    },
}

/// A whole PUBLISH.
pub(super) fn message(frame: Frame, version: Version, last: &mut Option<TopicName>) -> Result<Incoming, DecodeError> {
    let unusable = unusable(&frame.bytes, frame.body(), Reason::IMPLEMENTATION_SPECIFIC_ERROR);
    let header = Header::read(&frame.bytes, Some(version), false, usize::MAX)?.ok_or(UNREADABLE)?;
    match publish::decode(&header, frame.bytes, version, last) {
        Ok(publish) => Ok(Incoming::Publish(Box::new(publish))),
        // Without an exchange that could be answered, there is nothing left to agree on.
        Err(error) => unusable.ok_or(error),
    }
}

pub(super) fn suback(frame: &Frame, version: Version) -> Result<Incoming, DecodeError> {
    suback::decode(&mut Walk::new(frame.body()), version).map(Incoming::SubAck)
}

pub(super) fn unsuback(frame: &Frame, version: Version) -> Result<Incoming, DecodeError> {
    suback::decode_unsuback(&mut Walk::new(frame.body()), version).map(Incoming::UnsubAck)
}

/// Of what begins here, when the largest is `max` bytes.
pub(super) fn size(input: &BytesMut, max: usize) -> Result<Size, DecodeError> {
    let Some((first, rest)) = input.split_first().filter(|(first, _)| **first >> 4 == PUBLISH) else {
        return Ok(Size::Fits);
    };
    let Some((remaining, digits)) = wire::read_varint(rest)? else { return Ok(Size::Fits) };
    let size = 1 + digits + remaining;
    if size <= max {
        return Ok(Size::Fits);
    }
    let body = rest.get(digits..).unwrap_or_default();
    match unusable(&[*first], body, Reason::QUOTA_EXCEEDED) {
        Some(packet) => Ok(Size::TooLarge { packet, size }),
        None if body.len() < LONGEST_HEAD => Ok(Size::Unknown),
        // It has no exchange, and is refused with the connection.
        None => Ok(Size::Fits),
    }
}

/// The exchange that a PUBLISH belongs to. None where not even that can be read.
fn unusable(packet: &[u8], mut body: &[u8], reason: Reason) -> Option<Incoming> {
    let qos = QoS::from_bits(packet.first()? >> 1 & 0b11)?;
    let topic = usize::from(body.try_get_u16().ok()?);
    let mut behind = body.get(topic..)?;
    let packet_id = if qos == QoS::AtMostOnce { 0 } else { behind.try_get_u16().ok().filter(|id| *id > 0)? };
    Some(Incoming::Unusable { qos, packet_id, reason })
}

#[cfg(test)]
mod tests {
    use super::super::Decoder;
    use super::*;
    use crate::mqtt::ReasonList;

    const BOTH: [Version; 2] = [Version::V311, Version::V5];

    fn decode(version: Version, bytes: &[u8]) -> Result<Option<Incoming>, DecodeError> {
        Decoder::new(version, 100).decode(&mut BytesMut::from(bytes))
    }

    fn unusable(qos: QoS, packet_id: u16, reason: Reason) -> Incoming {
        Incoming::Unusable { qos, packet_id, reason }
    }

    #[test]
    fn a_message_is_read_with_all_that_it_says() {
        let Ok(Some(Incoming::Publish(publish))) = decode(Version::V5, b"\x3D\x0D\0\x01t\0\x09\x05\x02\0\0\0\x07hi")
        else {
            panic!("a PUBLISH")
        };
        assert_eq!((publish.qos, publish.packet_id, publish.dup, publish.retain), (QoS::ExactlyOnce, 9, true, true));
        assert_eq!(
            (&publish.payload[..], publish.properties.as_ref().and_then(|all| all.expiry)),
            (&b"hi"[..], Some(7))
        );
        let Ok(Some(Incoming::Publish(publish))) = decode(Version::V311, b"\x30\x05\0\x01thi") else { panic!("QoS 0") };
        assert_eq!((publish.qos, &publish.payload[..]), (QoS::AtMostOnce, &b"hi"[..]));
    }

    #[test]
    fn a_message_that_cannot_be_taken_says_which_exchange_it_is_and_ends_nothing() {
        // A wildcard, U+0000, bytes that are no UTF-8.
        for topic in [b'#', 0, 0xFF] {
            for version in BOTH {
                let found = decode(version, &[0x32, 6, 0, 1, topic, 0, 9, 0]);
                let reason = Reason::IMPLEMENTATION_SPECIFIC_ERROR;
                assert_eq!(found, Ok(Some(unusable(QoS::AtLeastOnce, 9, reason))), "{topic} {version:?}");
            }
        }
        // A topic alias, of which none was offered; and a topic that ends behind the packet.
        assert!(matches!(decode(Version::V5, b"\x34\x08\0\0\0\x09\x03\x23\0\x01"), Ok(Some(Incoming::Publish(_)))));
        assert!(decode(Version::V5, b"\x34\x04\0\x09a\0").is_err());
        assert!(decode(Version::V311, b"\x36\x05\0\x01t\0\x09").is_err(), "QoS 3");
    }

    #[test]
    fn a_message_that_is_too_large_is_passed_over_while_it_arrives_and_the_next_one_is_read() {
        for version in BOTH {
            let mut decoder = Decoder::new(version, 100);
            let mut input = BytesMut::from(&b"\x34\xC8\x01\0\x01t\0"[..]);
            assert_eq!(decoder.decode(&mut input), Ok(None), "its exchange is not known yet");
            input.extend_from_slice(b"\x09");
            let expected = unusable(QoS::ExactlyOnce, 9, Reason::QUOTA_EXCEEDED);
            assert_eq!(decoder.decode(&mut input), Ok(Some(expected)));
            for _ in 0..195 {
                input.extend_from_slice(b"x");
                assert_eq!((decoder.decode(&mut input), input.len()), (Ok(None), 0));
            }
            input.extend_from_slice(b"\x40\x02\0\x03");
            assert!(matches!(decoder.decode(&mut input), Ok(Some(Incoming::PubAck(_)))), "{version:?}");
        }
    }

    #[test]
    fn answers_to_subscribe_and_unsubscribe_are_read_in_both_versions() {
        let list = |reasons: &[u8]| ReasonList { packet_id: 9, reasons: reasons.iter().copied().map(Reason).collect() };
        assert_eq!(decode(Version::V311, b"\x90\x03\0\x09\x80"), Ok(Some(Incoming::SubAck(list(&[0x80])))));
        assert_eq!(decode(Version::V5, b"\x90\x04\0\x09\0\x02"), Ok(Some(Incoming::SubAck(list(&[2])))));
        assert_eq!(decode(Version::V311, b"\xB0\x02\0\x09"), Ok(Some(Incoming::UnsubAck(list(&[])))));
        assert_eq!(decode(Version::V5, b"\xB0\x04\0\x09\0\x11"), Ok(Some(Incoming::UnsubAck(list(&[0x11])))));
        assert!(decode(Version::V5, b"\x90\x03\0\x09\0").is_err(), "no reason");
    }
}
