//! Walks the bytes of one packet, strictly: each step either yields a checked value or says what is wrong.

use std::str;

use super::error::{DecodeError, malformed, protocol};
use super::wire;

/// What is left of a packet.
pub(super) struct Walk<'a> {
    rest: &'a [u8],
}

const TRUNCATED: DecodeError = malformed("the packet ends inside a field");

// === impl Walk ===

impl<'a> Walk<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A variable byte integer, in its shortest form [MQTT-1.5.5-1].
    pub fn varint(&mut self) -> Result<usize, DecodeError> {
        let (value, size) = wire::read_varint(self.rest)?.ok_or(TRUNCATED)?;
        if size > wire::varint_size(value) {
            return Err(malformed("a variable byte integer is longer than it needs to be"));
        }
        self.take(size)?;
        Ok(value)
    }

    /// A binary field: two bytes of length, then so many bytes.
    pub fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// A text field: well-formed UTF-8, which leaves no room for surrogates [MQTT-1.5.4-1], without U+0000
    /// [MQTT-1.5.4-2]. Control characters and non-characters are only discouraged, and pass.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let text = str::from_utf8(self.binary()?).map_err(|_| malformed("a text is not UTF-8"))?;
        if text.as_bytes().contains(&0) {
            return Err(malformed("a text contains U+0000"));
        }
        Ok(text)
    }

    /// A packet identifier: never 0 [MQTT-2.2.1-3].
    pub fn packet_id(&mut self) -> Result<u16, DecodeError> {
        match self.u16()? {
            0 => Err(protocol("packet identifier 0")),
            id => Ok(id),
        }
    }

    /// The next so many bytes as a walk of their own.
    pub fn block(&mut self, length: usize) -> Result<Walk<'a>, DecodeError> {
        self.take(length).map(Walk::new)
    }

    /// Nothing may be left over.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(malformed("bytes are left over at the end of the packet")) }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
        let field: Vec<u8> = [&(bytes.len() as u16).to_be_bytes(), bytes].concat();
        Walk::new(field.leak()).text()
    }

    #[test]
    fn text_is_utf8_without_surrogates_and_without_nul() {
        for good in ["", "a", "é", "\u{10FFFF}", "\u{FEFF}", "\u{1}"] {
            assert_eq!(text(good.as_bytes()), Ok(good));
        }
        for bad in [&b"\xFF"[..], b"\xC3", b"\xC0\x80", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"a\0b"] {
            assert_eq!(text(bad).map_err(|error| error.reason), Err(malformed("").reason), "{bad:?}");
        }
    }

    #[test]
    fn no_step_reaches_beyond_the_end() {
        assert_eq!(Walk::new(&[]).u8(), Err(TRUNCATED));
        assert_eq!(Walk::new(&[1]).u16(), Err(TRUNCATED));
        assert_eq!(Walk::new(&[1, 2, 3]).u32(), Err(TRUNCATED));
        assert_eq!(Walk::new(&[0, 2, b'a']).binary(), Err(TRUNCATED));
        assert_eq!(Walk::new(&[0x80]).varint(), Err(TRUNCATED));
    }

    #[test]
    fn an_integer_that_is_longer_than_needed_is_malformed() {
        assert!(Walk::new(&[0x80, 0x00]).varint().is_err());
        assert_eq!(Walk::new(&[0x80, 0x01]).varint(), Ok(128));
    }
}
