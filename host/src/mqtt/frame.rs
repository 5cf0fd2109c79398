//! The fixed header (MQTT 5, section 2.1): which packet it is, and where it ends.
//!
//! Everything that these two to five bytes give away is judged before anything more is read: a packet that a client
//! must not send costs one byte of it, and one that is too large is never buffered.

use super::error::{DecodeError, malformed, protocol};
use super::walk::Walk;
use super::{Reason, Version, wire};

/// The packets that a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Connect,
    Publish,
    PubAck,
    PubRec,
    PubRel,
    PubComp,
    Subscribe,
    Unsubscribe,
    PingReq,
    Disconnect,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub kind: Kind,
    /// The low half of the first byte. Only PUBLISH says something with it.
    pub flags: u8,
    /// Bytes of the fixed header itself.
    pub size: usize,
    /// Bytes after the fixed header.
    remaining: usize,
}

// === impl Kind ===

impl Kind {
    fn read(first: u8, version: Option<Version>, is_3_1: bool) -> Result<Self, DecodeError> {
        // In 3.1 these flags are unused, or say that the packet is sent again.
        let first = if is_3_1 && matches!(first >> 4, 6 | 8 | 10) { first & 0xF0 | 0b0010 } else { first };
        let (kind, flags) = match (first >> 4, version) {
            (1, None) => (Self::Connect, 0),
            // [MQTT-3.1.0-1]: this also turns away whoever speaks HTTP or TLS to us, at its first byte.
            (_, None) => return Err(protocol("the first packet is not CONNECT")),
            // [MQTT-3.1.0-2]
            (1, _) => return Err(protocol("a second CONNECT")),
            (3, _) => (Self::Publish, first & 0x0F),
            (4, _) => (Self::PubAck, 0),
            (5, _) => (Self::PubRec, 0),
            (6, _) => (Self::PubRel, 0b0010),
            (7, _) => (Self::PubComp, 0),
            (8, _) => (Self::Subscribe, 0b0010),
            (10, _) => (Self::Unsubscribe, 0b0010),
            (12, _) => (Self::PingReq, 0),
            (14, _) => (Self::Disconnect, 0),
            (2 | 9 | 11 | 13, _) => return Err(protocol("a packet that only a server sends")),
            // No method was agreed at CONNECT, because none is offered [MQTT-4.12.0-7].
            (15, Some(Version::V5)) => return Err(protocol("AUTH without an authentication method")),
            _ => return Err(malformed("a reserved packet type")),
        };
        // [MQTT-2.1.3-1]
        if first & 0x0F == flags { Ok(kind) } else { Err(malformed("reserved flags in the fixed header")) }
    }
}

// === impl Header ===

impl Header {
    /// `None`: more bytes are needed. `is_3_1` goes with version 3.1.1.
    pub fn read(
        buffer: &[u8],
        version: Option<Version>,
        is_3_1: bool,
        max_size: usize,
    ) -> Result<Option<Self>, DecodeError> {
        let Some((&first, rest)) = buffer.split_first() else { return Ok(None) };
        let kind = Kind::read(first, version, is_3_1)?;
        let Some((remaining, digits)) = wire::read_varint(rest)? else { return Ok(None) };
        let header = Self { kind, flags: first & 0x0F, size: 1 + digits, remaining };
        if header.packet_size() > max_size {
            return Err(DecodeError { reason: Reason::PACKET_TOO_LARGE, detail: "larger than the packet size limit" });
        }
        Ok(Some(header))
    }

    /// The whole packet: what Maximum Packet Size counts (MQTT 5, section 3.1.2.11.4).
    pub fn packet_size(&self) -> usize {
        self.size + self.remaining
    }

    /// What follows the fixed header.
    pub fn body<'a>(&self, packet: &'a [u8]) -> Walk<'a> {
        Walk::new(packet.get(self.size..).unwrap_or_default())
    }

    /// MQTT 5 wants the shortest form of the remaining length [MQTT-1.5.5-1]. 3.1.1 has no such rule, and there are
    /// small clients that always reserve four bytes, so there it passes.
    pub fn check_length(&self, version: Version) -> Result<(), DecodeError> {
        if version == Version::V5 && self.size > 1 + wire::varint_size(self.remaining) {
            return Err(malformed("the remaining length is longer than it needs to be"));
        }
        Ok(())
    }
}
