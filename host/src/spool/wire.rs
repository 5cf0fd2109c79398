//! The few primitives that everything in the log is written with: little-endian numbers, strings and bytes with their length.
//!
//! Reading never trusts a length: a field that does not fit what is left is an error, and nothing is allocated for it. The
//! frames around are checked by their crc, so that an error here means a writer that differs, not a disk that flipped a bit.

use bytes::{BufMut, BytesMut};

/// What is left of a frame.
pub(crate) struct Fields<'a>(&'a [u8]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("a field is longer than its frame")]
    Short,
    #[error("{0} bytes after the last field")]
    Trailing(usize),
    #[error("text that is not UTF-8")]
    NotUtf8,
    #[error("unknown {what} {tag}")]
    Unknown { what: &'static str, tag: u8 },
    #[error("a topic that is not allowed: {0}")]
    Topic(#[from] crate::topic::NameError),
}

// === impl Fields ===

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    /// With a length of two bytes.
    pub fn text(&mut self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.text_bytes()?).map_err(|_| WireError::NotUtf8)
    }

    /// The same, for who looks at them later or never.
    pub fn text_bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.u16()?.into();
        self.take(length)
    }

    /// With a length of four bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.u32()?).map_err(|_| WireError::Short)?;
        self.take(length)
    }

    /// The bytes of what is read.
    pub fn covered(&mut self, read: impl FnOnce(&mut Self) -> Result<(), WireError>) -> Result<&'a [u8], WireError> {
        let before = self.0;
        read(self)?;
        Ok(before.get(..before.len() - self.0.len()).unwrap_or_default())
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Nothing may be left.
    pub fn end(&self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::Trailing(self.0.len())) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (field, rest) = self.0.split_at_checked(length).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(field)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(*field)
    }
}

/// The counterpart of [`Fields::text`]. MQTT has no string of more than 65,535 bytes; a longer one is cut at a character.
pub(crate) fn put_text(out: &mut BytesMut, text: &str) {
    let text = text.get(..text.floor_char_boundary(u16::MAX.into())).unwrap_or_default();
    out.put_u16_le(text.len() as u16);
    out.put_slice(text.as_bytes());
}

/// The counterpart of [`Fields::bytes`]. Everything that comes here has passed a cap far below 4 GiB.
pub(crate) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32_le(bytes.len() as u32);
    out.put_slice(bytes);
}
