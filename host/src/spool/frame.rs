//! What the frames of the log mean.
//!
//! ```text
//! struct Offsets {                  // kind 5, the first frame of each segment: which messages there were, and which are done
//!     offsets: u32 count, then (upstream: text, next: u64, done: Ranges)*,
//! }
//! struct State {                    // kind 6, in a checkpoint only, many: all small state, as it was at the checkpoint's place or later
//!     state: u32 count, then (Key, Value)*,
//! }
//! struct Input {                    // kind 8, one for each record: safe as a whole or not at all
//!     outputs: u32 count, then (upstream: text, binding: text, number: u64, arrived: u64, message: bytes)*,
//!     changes: Changes,
//! }
//! struct Moved {                    // kind 6: outputs as they stand in the oldest segment, written again so that it can go
//!     outputs: as in Input, under the numbers that they have,
//! }
//! struct Completions {              // kind 3: what happened to messages, many in one frame
//!     done: u32 count, then (upstream: text, done: Ranges)*,
//!     changes: Changes,
//! }
//! Ranges  = u32 count, then (start: u64, end: u64)*
//! Changes = u32 count, then (Key, u8 delete or Value)*
//! Value   = u8 bytes or bytes with message, bytes, then the message: bytes, when it has one
//! ```
//!
//! - Upstreams go by name. An index would be a few bytes shorter, and one damaged table of names would orphan everything.
//! - So do bindings, for the same reason; a text without characters is no binding.
//! - Messages of one frame share what they have in common ([`super::shared`]). So the payload of a message is once in its record, whatever
//!   the number of subscribers that it is kept for, and of destinations that it goes to.
//! - Kind 1 is a Snapshot, Offsets and then State, which began each segment up to format 2; 2 and 4 are Input and Moved as these wrote
//!   them: without bindings, and with values that were bytes alone. They are read for ever and not written any more.
//! - Numbers are explicit, though they are contiguous for each upstream: so a lost frame shifts nothing, and is seen.
//! - `arrived` is in the gateway's own time (`base::timeline`): message expiry goes on over a restart, and no clock that is set moves it.
//! - Offsets repeat which numbers are done, so that a damaged completion does not bring back more than a segment's worth.
//! - A checkpoint is written while the state changes. What it says of a key is of its place or later; every later change of
//!   that key stands in a frame from the place on, and puts or deletes it whatever it was: read in order, all keys come out right.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::intervals::Intervals;
use super::key::{Change, Key};
use super::runs::Weight;
use super::shared::{Parts, Scanned, Sharing};
use super::value::Value;
use super::wire::{Fields, WireError, put_bytes, put_text};
use crate::message::{Message, QoS};

pub(super) const SNAPSHOT_BEFORE_3: u8 = 1;
pub(super) const INPUT_BEFORE_3: u8 = 2;
pub(super) const COMPLETIONS: u8 = 3;
pub(super) const MOVED_BEFORE_3: u8 = 4;
pub(super) const TRACKS: u8 = 5;
pub(super) const STATE: u8 = 6;
pub(super) const INPUT: u8 = 8;
pub(super) const MOVED: u8 = 9;

/// What stands behind a key.
const DELETE: u8 = 0;
const BYTES: u8 = 1;
const WITH_MESSAGE: u8 = 2;

/// Of an output, beside its message and the names of its upstream and binding: their lengths, number and time.
const OUTPUT_BYTES: usize = 2 + 2 + 8 + 8 + 4;

/// An output as it stands in its frame; the message is not decoded yet.
pub(super) struct Written<'a> {
    pub upstream: &'a str,
    /// Empty for what no binding made.
    pub binding: &'a str,
    pub number: u64,
    pub arrived_ms: u64,
    /// As it stands there.
    bytes: &'a [u8],
    pub message: Scanned<'a>,
}

/// The outputs of a frame, one by one.
pub(super) struct Outputs<'a> {
    fields: Fields<'a>,
    parts: Parts<'a>,
    left: u32,
    has_bindings: bool,
}

/// Whether messages stand in a frame of this kind.
pub(super) fn has_outputs(kind: u8) -> bool {
    matches!(kind, INPUT | MOVED | INPUT_BEFORE_3 | MOVED_BEFORE_3)
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

/// Of an output, all but its message.
pub(super) struct Head<'a> {
    pub upstream: &'a str,
    pub binding: &'a str,
    pub number: u64,
    pub arrived_ms: u64,
}

pub(super) fn put_output(out: &mut BytesMut, head: &Head<'_>, message: &Message, sharing: &mut Sharing) {
    put_head(out, head);
    put_message(out, message, sharing);
}

/// The same, as it stands in another frame.
pub(super) fn put_written(out: &mut BytesMut, written: &Written<'_>) {
    put_head(out, &written.head());
    put_bytes(out, written.bytes);
}

fn put_head(out: &mut BytesMut, head: &Head<'_>) {
    put_text(out, head.upstream);
    put_text(out, head.binding);
    out.put_u64_le(head.number);
    out.put_u64_le(head.arrived_ms);
}

fn put_message(out: &mut BytesMut, message: &Message, sharing: &mut Sharing) {
    let at = out.len();
    out.put_u32_le(0);
    sharing.encode(message, out);
    let length = (out.len() - at - size_of::<u32>()) as u32;
    if let Some(place) = out.get_mut(at..at + size_of::<u32>()) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

pub(super) fn put_list<T>(
    out: &mut BytesMut,
    items: impl IntoIterator<Item = T>,
    mut put: impl FnMut(&mut BytesMut, T),
) {
    counted(out, |out| items.into_iter().map(|item| put(out, item)).count());
}

pub(super) fn put_ranges(out: &mut BytesMut, ranges: &Intervals) {
    put_list(out, ranges.ranges(), |out, range| {
        out.put_u64_le(range.start);
        out.put_u64_le(range.end);
    });
}

pub(super) fn put_change(out: &mut BytesMut, change: &Change, sharing: &mut Sharing) {
    change.key.encode(out);
    match &change.value {
        None => out.put_u8(DELETE),
        Some(value) => put_value(out, value, sharing),
    }
}

pub(super) fn put_entry(out: &mut BytesMut, key: &Key, value: &Value, sharing: &mut Sharing) {
    key.encode(out);
    put_value(out, value, sharing);
}

fn put_value(out: &mut BytesMut, value: &Value, sharing: &mut Sharing) {
    out.put_u8(if value.message().is_some() { WITH_MESSAGE } else { BYTES });
    put_bytes(out, value);
    if let Some(message) = value.message() {
        put_message(out, message, sharing);
    }
}

// === impl Written ===

impl<'a> Written<'a> {
    /// What it takes in the log and when it has to be gone. What it shares with others counts as its own: they may be done before.
    pub fn weight(&self) -> Weight {
        let dies = |seconds: u32| self.arrived_ms.saturating_add(u64::from(seconds) * 1000);
        Weight {
            bytes: (self.message.len() + self.upstream.len() + self.binding.len() + OUTPUT_BYTES) as u64,
            is_qos0: self.message.qos() == QoS::AtMostOnce,
            arrived_ms: self.arrived_ms,
            dies_ms: self.message.expiry().map_or(u64::MAX, dies),
        }
    }

    pub fn head(&self) -> Head<'a> {
        let Self { upstream, binding, number, arrived_ms, .. } = *self;
        Head { upstream, binding, number, arrived_ms }
    }
}

// === impl Outputs ===

impl<'a> Outputs<'a> {
    /// Of a frame for which [`has_outputs`] is true.
    pub fn read(kind: u8, body: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(body);
        let left = fields.u32()?;
        Ok(Self { fields, parts: Parts::default(), left, has_bindings: matches!(kind, INPUT | MOVED) })
    }

    pub fn next(&mut self) -> Result<Option<Written<'a>>, WireError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let fields = &mut self.fields;
        let (upstream, binding) = (fields.text()?, if self.has_bindings { fields.text()? } else { "" });
        let (number, arrived_ms, bytes) = (fields.u64()?, fields.u64()?, fields.bytes()?);
        let message = self.parts.scan(bytes)?;
        Ok(Some(Written { upstream, binding, number, arrived_ms, bytes, message }))
    }

    /// One that [`Outputs::next`] has given.
    pub fn message(&mut self, written: &Written<'a>) -> Result<Message, WireError> {
        self.parts.message(written.message)
    }

    /// What stands behind the outputs, when all of them have been read.
    pub fn changes(mut self) -> Result<Vec<Change>, WireError> {
        let changes = self.fields.list(|fields| fields.change(&mut self.parts))?;
        self.fields.end()?;
        Ok(changes)
    }

    /// Nothing may stand behind them.
    pub fn end(&self) -> Result<(), WireError> {
        self.fields.end()
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
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

    pub(super) fn change(&mut self, parts: &mut Parts<'a>) -> Result<Change, WireError> {
        let key = Key::decode(self)?;
        let value = match self.u8()? {
            DELETE => None,
            tag => Some(self.value(tag, parts)?),
        };
        Ok(Change { key, value })
    }

    pub(super) fn entry(&mut self, parts: &mut Parts<'a>) -> Result<(Key, Value), WireError> {
        let (key, tag) = (Key::decode(self)?, self.u8()?);
        Ok((key, self.value(tag, parts)?))
    }

    pub fn entry_before_3(&mut self) -> Result<(Key, Value), WireError> {
        Ok((Key::decode(self)?, Bytes::copy_from_slice(self.bytes()?).into()))
    }

    fn value(&mut self, tag: u8, parts: &mut Parts<'a>) -> Result<Value, WireError> {
        let bytes = Bytes::copy_from_slice(self.bytes()?);
        match tag {
            BYTES => Ok(bytes.into()),
            WITH_MESSAGE => {
                let message = parts.scan(self.bytes()?)?;
                Ok(Value::with_message(bytes, parts.message(message)?))
            }
            tag => Err(WireError::Unknown { what: "change", tag }),
        }
    }

    /// A list as [`put_list`] writes it.
    pub fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T, WireError>) -> Result<Vec<T>, WireError> {
        let count = self.u32()?;
        // Not reserved by a count from outside: it grows with what is really there.
        (0..count).map(|_| read(self)).collect()
    }
}
