//! The bytes of a header and of a frame. Pure: no files.

use crc32fast::Hasher;

/// What is written. 2 has frames of a kind more, which 1 would take for damage. 3 says which binding made an output, and has the state in
/// a checkpoint of its own.
pub const FORMAT: u32 = 3;
/// What is read. A log of several formats is read as well: each segment says its own.
pub const FORMATS: std::ops::RangeInclusive<u32> = 1..=FORMAT;
pub const HEADER_BYTES: u64 = 64;
pub const FRAME_BYTES: usize = 24;
pub const ALIGN: u64 = 8;
/// Two of the largest MQTT packets. A length above it is damage, and is not worth an allocation.
pub const MAX_BODY_BYTES: usize = 512 << 20;

const MAGIC: [u8; 8] = *b"tidelog\0";
/// Not zero, not text, not the same in any shifted position.
pub const MARKER: [u8; 4] = [0xf7, 0x1d, 0xe6, 0xa7];

/// One frame: a kind, whose meaning is the caller's, and opaque bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub kind: u8,
    pub body: &'a [u8],
}

/// Where a frame is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    pub segment: u64,
    pub offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub id: u128,
    pub segment: u64,
    pub capacity: u64,
    pub previous_end: u64,
    pub previous_synced: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    Damaged,
    /// The header verifies, so the number can be believed.
    Version(u32),
}

/// What the checks of one segment start from.
#[derive(Clone, Copy, Debug)]
pub struct Salt(u32);

/// The fixed part of a frame, verified; the body is not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub kind: u8,
    pub length: usize,
    /// Bytes between the last one known durable and this frame.
    pub unsynced: u64,
    body_check: u32,
}

/// Bytes that a frame with such a body takes.
fn framed(body: usize) -> u64 {
    (FRAME_BYTES as u64 + body as u64).next_multiple_of(ALIGN)
}

fn crc(seed: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new_with_initial(seed);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

// === impl Frame ===

impl Frame<'_> {
    /// What it takes in a segment.
    pub fn framed(&self) -> u64 {
        framed(self.body.len())
    }
}

// === impl Location ===

impl Location {
    /// Before everything.
    pub const START: Self = Self { segment: 0, offset: 0 };
}

// === impl Header ===

impl Header {
    pub fn encode(&self) -> Vec<u8> {
        self.encode_as(FORMAT)
    }

    fn encode_as(&self, format: u32) -> Vec<u8> {
        let mut rest = self.id.to_le_bytes().to_vec();
        for field in [self.segment, self.capacity, self.previous_end, self.previous_synced] {
            rest.extend(field.to_le_bytes());
        }
        let version = format.to_le_bytes();
        let check = crc(0, &[&MAGIC, &version, &rest]);
        [&MAGIC, &version[..], &check.to_le_bytes(), &rest].concat()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        Self::parse(bytes).unwrap_or(Err(HeaderError::Damaged))
    }

    fn parse(mut bytes: &[u8]) -> Option<Result<Self, HeaderError>> {
        let bytes = &mut bytes;
        let (magic, version, check): ([u8; 8], [u8; 4], [u8; 4]) = (take(bytes)?, take(bytes)?, take(bytes)?);
        let rest: [u8; 48] = take(bytes)?;
        if magic != MAGIC || crc(0, &[&magic, &version, &rest]) != u32::from_le_bytes(check) {
            return None;
        }
        if !FORMATS.contains(&u32::from_le_bytes(version)) {
            return Some(Err(HeaderError::Version(u32::from_le_bytes(version))));
        }
        let rest = &mut &rest[..];
        Some(Ok(Self {
            id: u128::from_le_bytes(take(rest)?),
            segment: u64::from_le_bytes(take(rest)?),
            capacity: u64::from_le_bytes(take(rest)?),
            previous_end: u64::from_le_bytes(take(rest)?),
            previous_synced: u64::from_le_bytes(take(rest)?),
        }))
    }
}

// === impl Salt ===

impl Salt {
    pub fn new(id: u128, segment: u64) -> Self {
        Self(crc(0, &[&id.to_le_bytes(), &segment.to_le_bytes()]))
    }

    fn at(self, offset: u64) -> u32 {
        crc(self.0, &[&offset.to_le_bytes()])
    }

    /// Appends the frame as it stands at `offset`. The caller has checked the length against [`MAX_BODY_BYTES`].
    pub fn encode(self, out: &mut Vec<u8>, offset: u64, unsynced: u64, frame: Frame<'_>) {
        let seed = self.at(offset);
        let mut fields = [0; 16];
        let body_check = crc(seed, &[frame.body]);
        // A distance that does not fit says "nothing known", which is what saturating says as well.
        let unsynced = u32::try_from(unsynced / ALIGN).unwrap_or(u32::MAX);
        fields[..4].copy_from_slice(&body_check.to_le_bytes());
        fields[4..8].copy_from_slice(&(frame.body.len() as u32).to_le_bytes());
        fields[8..12].copy_from_slice(&unsynced.to_le_bytes());
        fields[12] = frame.kind;
        out.extend(MARKER);
        out.extend(crc(seed, &[&fields]).to_le_bytes());
        out.extend(fields);
        out.extend(frame.body);
        out.resize(out.len().next_multiple_of(ALIGN as usize), 0);
    }

    /// The head of a frame, when `bytes` begin with one that was written for this offset.
    pub fn head(self, offset: u64, mut bytes: &[u8]) -> Option<Head> {
        let bytes = &mut bytes;
        let (marker, check): ([u8; 4], [u8; 4]) = (take(bytes)?, take(bytes)?);
        let fields: [u8; 16] = take(bytes)?;
        if marker != MARKER || crc(self.at(offset), &[&fields]) != u32::from_le_bytes(check) {
            return None;
        }
        let fields = &mut &fields[..];
        let body_check = u32::from_le_bytes(take(fields)?);
        let length = u32::from_le_bytes(take(fields)?) as usize;
        let unsynced = u64::from(u32::from_le_bytes(take(fields)?)) * ALIGN;
        let [kind] = take(fields)?;
        (length <= MAX_BODY_BYTES).then_some(Head { kind, length, unsynced, body_check })
    }

    pub fn verifies(self, offset: u64, head: &Head, body: &[u8]) -> bool {
        body.len() == head.length && crc(self.at(offset), &[body]) == head.body_check
    }
}

// === impl Head ===

impl Head {
    pub fn framed(&self) -> u64 {
        framed(self.length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header { id: 7 << 100, segment: 3, capacity: 4096, previous_end: 88, previous_synced: 64 }
    }

    #[test]
    fn a_header_is_64_bytes_and_comes_back() {
        assert_eq!(header().encode().len() as u64, HEADER_BYTES);
        assert_eq!(Header::decode(&header().encode()), Ok(header()));
    }

    #[test]
    fn the_format_before_is_read_and_the_one_after_is_refused_by_its_number() {
        assert_eq!(Header::decode(&header().encode_as(1)), Ok(header()));
        assert_eq!(Header::decode(&header().encode_as(FORMAT + 1)), Err(HeaderError::Version(FORMAT + 1)));
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_noticed() {
        for bit in 0..HEADER_BYTES as usize * 8 {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes), Err(HeaderError::Damaged), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_spool_segment_or_offset_does_not_verify() {
        let mut bytes = Vec::new();
        let salt = Salt::new(1, 1);
        salt.encode(&mut bytes, 64, 0, Frame { kind: 1, body: b"body" });
        assert!(salt.head(64, &bytes).is_some_and(|head| salt.verifies(64, &head, &bytes[24..28])));
        assert_eq!(salt.head(72, &bytes), None);
        assert_eq!(Salt::new(2, 1).head(64, &bytes), None);
        assert_eq!(Salt::new(1, 2).head(64, &bytes), None);
    }

    proptest! {
        #[test]
        fn a_frame_comes_back_as_it_was(
            id: u128, segment: u64, kind: u8, unsynced in 0..1_u64 << 30, offset in 0..1_u64 << 30,
            body in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let (salt, offset, unsynced) = (Salt::new(id, segment), offset * ALIGN, unsynced * ALIGN);
            let mut bytes = Vec::new();
            salt.encode(&mut bytes, offset, unsynced, Frame { kind, body: &body });
            prop_assert_eq!(bytes.len() as u64, framed(body.len()));
            let head = salt.head(offset, &bytes).unwrap();
            prop_assert_eq!((head.kind, head.length, head.unsynced), (kind, body.len(), unsynced));
            prop_assert!(salt.verifies(offset, &head, &body));
        }

        #[test]
        fn any_bytes_are_no_header_and_no_frame(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(Header::decode(&bytes), Err(HeaderError::Damaged));
            prop_assert_eq!(Salt::new(1, 1).head(64, &bytes), None);
        }
    }
}
