//! One whole control packet (MQTT 5, section 2.1), cut out before anybody looks inside.

use bytes::BytesMut;

use crate::mqtt::error::malformed;
use crate::mqtt::{DecodeError, Reason, wire};

const PUBLISH: u8 = 3;
const PUBREL: u8 = 6;

pub struct Frame {
    pub bytes: BytesMut,
    header: usize,
}

// === impl Frame ===

impl Frame {
    pub fn take(input: &mut BytesMut, max: usize) -> Result<Option<Self>, DecodeError> {
        let after_type = input.get(1..).unwrap_or_default();
        let Some((length, length_bytes)) = wire::read_varint(after_type)? else { return Ok(None) };
        let header = 1 + length_bytes;
        let size = header + length;
        if size > max {
            return Err(DecodeError { reason: Reason::PACKET_TOO_LARGE, detail: "larger than a server's acks can be" });
        }
        if input.len() < size {
            return Ok(None);
        }
        Ok(Some(Self { bytes: input.split_to(size), header }))
    }

    pub fn packet_type(&self) -> u8 {
        self.first() >> 4
    }

    /// rumqttc reads the flags of PUBLISH alone; those of the others are reserved [MQTT-2.1.3-1] 3.1.1 [MQTT-2.2.2-2].
    pub fn check_flags(&self) -> Result<(), DecodeError> {
        let reserved = match self.packet_type() {
            PUBLISH => return Ok(()),
            PUBREL => 0b0010,
            _ => 0,
        };
        if self.first() & 0x0F == reserved { Ok(()) } else { Err(malformed("reserved flags in the fixed header")) }
    }

    fn first(&self) -> u8 {
        self.bytes.first().copied().unwrap_or_default()
    }

    pub fn body(&self) -> &[u8] {
        self.bytes.get(self.header..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bytes: &[u8], max: usize) -> Result<Option<usize>, DecodeError> {
        Frame::take(&mut BytesMut::from(bytes), max).map(|frame| frame.map(|frame| frame.body().len()))
    }

    #[test]
    fn a_frame_is_taken_only_when_it_is_whole() {
        assert!(matches!(take(&[], 10), Ok(None)));
        assert!(matches!(take(&[0x40], 10), Ok(None)));
        assert!(matches!(take(&[0x40, 2, 0], 10), Ok(None)));
        assert!(matches!(take(&[0x40, 2, 0, 1, 0xFF], 10), Ok(Some(2))));
        assert!(matches!(take(&[0x40, 0x80], 10), Ok(None)));
    }

    #[test]
    fn a_frame_beyond_the_bound_is_refused_before_it_arrives() {
        assert!(matches!(take(&[0x30, 9], 10), Err(DecodeError { reason: Reason::PACKET_TOO_LARGE, .. })));
        assert!(matches!(
            take(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], 10),
            Err(DecodeError { reason: Reason::PACKET_TOO_LARGE, .. })
        ));
        assert!(matches!(
            take(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF], 10),
            Err(DecodeError { reason: Reason::MALFORMED_PACKET, .. })
        ));
    }
}
