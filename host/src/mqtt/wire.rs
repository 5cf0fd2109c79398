//! What every packet is made of: variable byte integers and fields with their length in front (MQTT 5, section 1.5).
//!
//! Writing goes through [`Sink`], which is either the output or a counter. A packet's length is thus found by the
//! very code that writes it, and cannot disagree with it.

use bytes::{BufMut, BytesMut};

use super::error::{DecodeError, malformed};

/// The largest variable byte integer: four digits of seven bits (section 1.5.5).
pub(super) const MAX_VARINT: usize = 268_435_455;

/// The largest text or binary field: its length is two bytes (sections 1.5.4 and 1.5.6).
pub(super) const MAX_FIELD: usize = 65_535;

/// Where bytes go.
pub(super) trait Sink {
    fn bytes(&mut self, bytes: &[u8]);

    /// A text or binary field with its length. At most [`MAX_FIELD`] bytes: count before you write.
    fn field(&mut self, bytes: &[u8]);

    fn varint(&mut self, value: usize) {
        let mut rest = value;
        loop {
            let digit = (rest & 0x7F) as u8;
            rest >>= 7;
            if rest == 0 {
                return self.bytes(&[digit]);
            }
            self.bytes(&[digit | 0x80]);
        }
    }
}

/// A block with its length in front, as properties are.
pub(super) trait Block {
    fn write(&self, out: &mut impl Sink);
}

/// Counts what would be written, and notices what MQTT has no room for.
#[derive(Default)]
pub(super) struct Counter {
    bytes: usize,
    too_long: bool,
}

/// Reads a variable byte integer and how many bytes it took. `None`: it does not end here.
pub(super) fn read_varint(bytes: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(malformed("a length of more than four bytes")) }
}

/// How many bytes a variable byte integer takes when written as section 1.5.5 wants it: as short as possible.
pub(super) fn varint_size(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// The size of a packet with so many bytes after the fixed header; `None` when MQTT has no way to write it.
pub(super) fn packet_size(remaining: usize) -> Option<usize> {
    (remaining <= MAX_VARINT).then(|| 1 + varint_size(remaining) + remaining)
}

/// Writes a block and its length. That a field in it is too long is for the counter of the packet to notice.
pub(super) fn block(block: &impl Block, out: &mut impl Sink) {
    let mut counter = Counter::default();
    block.write(&mut counter);
    out.varint(counter.bytes);
    block.write(out);
}

// === impl Sink ===

impl Sink for BytesMut {
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn field(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= MAX_FIELD, "counted before it is written");
        self.put_u16(bytes.len() as u16);
        self.extend_from_slice(bytes);
    }
}

impl Sink for Counter {
    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
    }

    fn field(&mut self, bytes: &[u8]) {
        self.bytes += 2 + bytes.len();
        self.too_long |= bytes.len() > MAX_FIELD;
    }
}

// === impl Counter ===

impl Counter {
    /// The count, or `None` when something has no place in a packet.
    pub fn total(&self) -> Option<usize> {
        (!self.too_long && self.bytes <= MAX_VARINT).then_some(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_byte_integer_comes_back_at_each_border_of_its_length() {
        for (value, size) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (2_097_151, 3), (2_097_152, 4)] {
            let mut out = BytesMut::new();
            out.varint(value);
            assert_eq!(read_varint(&out), Ok(Some((value, size))));
            assert_eq!(varint_size(value), size);
        }
        assert_eq!(read_varint(&[0xFF, 0xFF, 0xFF, 0x7F]), Ok(Some((MAX_VARINT, 4))));
    }

    #[test]
    fn an_unfinished_integer_waits_and_a_fifth_byte_is_malformed() {
        assert_eq!(read_varint(&[0x80, 0x80, 0x80]), Ok(None));
        assert!(read_varint(&[0x80, 0x80, 0x80, 0x80]).is_err());
    }
}
