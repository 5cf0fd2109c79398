//! What the frames of the log mean.
//!
//! ```text
//! struct Tracks {                   // kind 5, the first frame of each segment: which messages there were, and which are done
//!     tracks: u32 count, then (upstream: text, next: u64, done: Ranges)*,
//! }
//! struct State {                    // kind 6, in a checkpoint only, many: all small state, as it was at the checkpoint's place or later
//!     state: u32 count, then (Key, bytes)*,
//! }
//! struct Snapshot {                 // kind 1, read only: up to format 2 each segment began with it
//!     tracks: as in Tracks,
//!     state: as in State, replaces all before,
//! }
//! struct Input {                    // kind 8, one for each record: safe as a whole or not at all
//!     outputs: u32 count, then (upstream: text, binding: text, number: u64, arrived: u64, message: bytes)*,
//!     changes: Changes,
//! }
//! struct Moved {                    // kind 9: outputs as they stand in the oldest segment, written again so that it can go
//!     outputs: as in Input, under the numbers that they have,
//! }
//! struct Notes {                    // kind 3: what happened to messages, many in one frame
//!     done: u32 count, then (upstream: text, done: Ranges)*,
//!     changes: Changes,
//! }
//! Ranges  = u32 count, then (start: u64, end: u64)*
//! Changes = u32 count, then (Key, u8 put or delete, bytes when put)*
//! ```
//!
//! - Upstreams go by name. An index would be a few bytes shorter, and one damaged table of names would orphan everything.
//! - So do bindings, for the same reason; a text without characters is no binding. Kinds 2 and 4 are Input and Moved as formats 1 and
//!   2 wrote them, without bindings. They are read for ever and not written any more.
//! - Numbers are explicit, though they are contiguous for each upstream: so a lost frame shifts nothing, and is seen.
//! - `arrived` is in milliseconds since the Unix epoch: message expiry goes on over a restart.
//! - Tracks repeat which numbers are done, so that a damaged note does not bring back more than a segment's worth.
//! - A checkpoint is written while the state changes. What it says of a key is of its place or later; every later change of
//!   that key stands in a frame from the place on, and puts or deletes it whatever it was: read in order, all keys come out right.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::Output;
use super::intervals::Intervals;
use super::key::{Change, Key};
use super::message::{encode_message, peek};
use super::runs::Weight;
use super::wire::{Fields, WireError, put_bytes, put_option, put_text};
use crate::message::QoS;

pub(super) const SNAPSHOT: u8 = 1;
pub(super) const INPUT_WITHOUT_BINDINGS: u8 = 2;
pub(super) const NOTES: u8 = 3;
pub(super) const MOVED_WITHOUT_BINDINGS: u8 = 4;
pub(super) const TRACKS: u8 = 5;
pub(super) const STATE: u8 = 6;
pub(super) const INPUT: u8 = 8;
pub(super) const MOVED: u8 = 9;

/// Of an output, beside its message and the names of its upstream and binding: their lengths, number and time.
const OUTPUT_BYTES: usize = 2 + 2 + 8 + 8 + 4;

/// An output as it stands in its frame; the message is not decoded yet.
pub(super) struct Written<'a> {
    pub upstream: &'a str,
    /// Empty for what no binding made.
    pub binding: &'a str,
    pub number: u64,
    pub arrived_ms: u64,
    pub message: &'a [u8],
}

/// The outputs of a frame, one by one.
pub(super) struct Outputs<'a> {
    fields: Fields<'a>,
    left: u32,
    has_bindings: bool,
}

/// Whether messages stand in a frame of this kind.
pub(super) fn has_outputs(kind: u8) -> bool {
    matches!(kind, INPUT | MOVED | INPUT_WITHOUT_BINDINGS | MOVED_WITHOUT_BINDINGS)
}

/// Writes a count in front of what `write` puts, which returns how many it were.
fn counted(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut) -> usize) {
    let at = out.len();
    out.put_u32_le(0);
    let count = write(out) as u32;
    if let Some(place) = out.get_mut(at..at + size_of::<u32>()) {
        place.copy_from_slice(&count.to_le_bytes());
    }
}

/// An output for the upstream of this name, under its number.
pub(super) fn put_output(out: &mut BytesMut, upstream: &str, number: u64, arrived_ms: u64, output: &Output) {
    let binding = output.binding.as_deref().unwrap_or_default();
    put_head(out, &Written { upstream, binding, number, arrived_ms, message: &[] });
    let at = out.len();
    out.put_u32_le(0);
    encode_message(&output.message, out);
    let length = (out.len() - at - size_of::<u32>()) as u32;
    if let Some(place) = out.get_mut(at..at + size_of::<u32>()) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// The same, from the bytes of another frame.
pub(super) fn put_written(out: &mut BytesMut, written: &Written<'_>) {
    put_head(out, written);
    put_bytes(out, written.message);
}

fn put_head(out: &mut BytesMut, written: &Written<'_>) {
    put_text(out, written.upstream);
    put_text(out, written.binding);
    out.put_u64_le(written.number);
    out.put_u64_le(written.arrived_ms);
}

pub(super) fn put_list<T>(out: &mut BytesMut, items: impl IntoIterator<Item = T>, put: impl Fn(&mut BytesMut, T)) {
    counted(out, |out| items.into_iter().map(|item| put(out, item)).count());
}

pub(super) fn put_ranges(out: &mut BytesMut, ranges: &Intervals) {
    put_list(out, ranges.ranges(), |out, range| {
        out.put_u64_le(range.start);
        out.put_u64_le(range.end);
    });
}

pub(super) fn put_change(out: &mut BytesMut, change: &Change) {
    change.key.encode(out);
    put_option(out, change.value.as_ref());
}

pub(super) fn put_entry(out: &mut BytesMut, key: &Key, value: &Bytes) {
    key.encode(out);
    put_bytes(out, value);
}

// === impl Written ===

impl Written<'_> {
    /// What it takes in the log and when it has to be gone.
    pub fn weight(&self) -> Weight {
        let (qos, expiry) = peek(self.message).unwrap_or_default();
        let dies = |seconds: u32| self.arrived_ms.saturating_add(u64::from(seconds) * 1000);
        Weight {
            bytes: (self.message.len() + self.upstream.len() + self.binding.len() + OUTPUT_BYTES) as u64,
            is_qos0: qos == QoS::AtMostOnce,
            arrived_ms: self.arrived_ms,
            dies_ms: expiry.map_or(u64::MAX, dies),
        }
    }
}

// === impl Outputs ===

impl<'a> Outputs<'a> {
    /// Of a frame for which [`has_outputs`] is true.
    pub fn read(kind: u8, body: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(body);
        let left = fields.u32()?;
        Ok(Self { fields, left, has_bindings: matches!(kind, INPUT | MOVED) })
    }

    pub fn next(&mut self) -> Result<Option<Written<'a>>, WireError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.fields.written(self.has_bindings).map(Some)
    }

    /// What stands behind the outputs, when all of them have been read.
    pub fn rest(self) -> Fields<'a> {
        self.fields
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    fn written(&mut self, has_binding: bool) -> Result<Written<'a>, WireError> {
        let (upstream, binding) = (self.text()?, if has_binding { self.text()? } else { "" });
        Ok(Written { upstream, binding, number: self.u64()?, arrived_ms: self.u64()?, message: self.bytes()? })
    }

    pub fn range(&mut self) -> Result<Range<u64>, WireError> {
        Ok(self.u64()?..self.u64()?)
    }

    pub fn ranges(&mut self) -> Result<Intervals, WireError> {
        let mut ranges = Intervals::default();
        for _ in 0..self.u32()? {
            ranges.insert_range(self.range()?);
        }
        Ok(ranges)
    }

    pub fn change(&mut self) -> Result<Change, WireError> {
        let key = Key::decode(self)?;
        let value = match self.u8()? {
            0 => None,
            1 => Some(Bytes::copy_from_slice(self.bytes()?)),
            tag => return Err(WireError::Unknown { what: "change", tag }),
        };
        Ok(Change { key, value })
    }

    pub fn entry(&mut self) -> Result<(Key, Bytes), WireError> {
        Ok((Key::decode(self)?, Bytes::copy_from_slice(self.bytes()?)))
    }

    /// A list as [`put_list`] writes it.
    pub fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T, WireError>) -> Result<Vec<T>, WireError> {
        let count = self.u32()?;
        // Not reserved by a count from outside: it grows with what is really there.
        (0..count).map(|_| read(self)).collect()
    }
}
