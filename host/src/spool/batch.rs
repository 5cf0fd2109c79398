//! What goes to the log in one write: some records, and the completions that have gathered.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};

use super::Record;
use super::completions::Completions;
use super::frame::{COMPLETIONS, Head, INPUT, MOVED, put_change, put_list, put_output};
use super::image::Image;
use super::log::{FRAME_BYTES, Frame, Location};
use super::offsets::{FIRST, Offsets};
use super::shared::Sharing;
use crate::base::timeline;
use crate::config::Qos0;

/// Records in one write at most, and bytes: enough that a sync is shared by everybody who waits, few enough that the first
/// of them does not wait for the copying of a crowd.
const MAX_RECORDS: usize = 4096;
const MAX_BYTES: usize = 4 << 20;

/// Bodies in one buffer, encoded against the numbers that are next.
#[derive(Default)]
pub(super) struct Batch {
    bytes: BytesMut,
    bodies: Vec<(u8, Range<usize>)>,
    /// Of the bodies, those at the front that are completions.
    completions: usize,
    /// By upstream of the configuration: the first number of this batch, and the next.
    first: Vec<u64>,
    next: Vec<u64>,
    qos0: Qos0,
    sharing: Sharing,
}

// === impl Batch ===

impl Batch {
    pub fn new(qos0: Qos0) -> Self {
        Self { qos0, ..Self::default() }
    }

    /// Begins again, and keeps its memory.
    pub fn clear(&mut self, image: &Image, names: &[Arc<str>]) {
        self.bytes.clear();
        self.bodies.clear();
        self.completions = 0;
        let next = |name: &Arc<str>| image.offsets(name).map_or(FIRST, Offsets::next);
        self.first = names.iter().map(next).collect();
        self.next.clone_from(&self.first);
    }

    /// Before the records.
    pub fn completions(&mut self, completions: &Completions, names: &[Arc<str>]) {
        if !completions.is_empty() {
            self.body(COMPLETIONS, |out| completions.encode(names, out));
            self.completions = self.bodies.len();
        }
    }

    /// Encodes records from the front, as many as go in one write of at most `most` bytes; a batch is never empty.
    pub fn records<'a>(&mut self, records: impl Iterator<Item = &'a Record>, names: &[Arc<str>], most: usize) -> usize {
        let mut count = 0;
        for record in records.take(MAX_RECORDS) {
            if !self.bodies.is_empty() && self.framed() + weight(record, self.qos0) > most.min(MAX_BYTES) {
                break;
            }
            self.record(record, names);
            count += 1;
        }
        count
    }

    /// Where the records are, when this is where the bodies are.
    pub fn of_records<'a>(&self, locations: &'a [Location]) -> &'a [Location] {
        locations.get(self.completions..).unwrap_or_default()
    }

    /// Messages of the oldest segment, written again. Alone in their batch.
    pub fn moved(&mut self, count: u32, outputs: &[u8]) {
        self.body(MOVED, |out| {
            out.put_u32_le(count);
            out.put_slice(outputs);
        });
    }

    pub fn first_numbers(&self) -> &[u64] {
        &self.first
    }

    pub fn frames(&self) -> Vec<Frame<'_>> {
        let body = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.bodies.iter().map(|(kind, range)| Frame { kind: *kind, body: body(range) }).collect()
    }

    /// Bytes in a segment, a little more rather than less.
    pub fn framed(&self) -> usize {
        self.bytes.len() + self.bodies.len() * (FRAME_BYTES + 8)
    }

    fn record(&mut self, record: &Record, names: &[Arc<str>]) {
        let (mut next, qos0) = (std::mem::take(&mut self.next), self.qos0);
        let mut sharing = std::mem::take(&mut self.sharing);
        sharing.begin(messages(record));
        self.body(INPUT, |out| {
            let kept = record.outputs.iter().filter(|output| output.is_kept(qos0));
            let numbered = kept.filter_map(|output| {
                let (name, next) = (names.get(output.upstream.0)?, next.get_mut(output.upstream.0)?);
                *next += 1;
                Some((name, *next - 1, output))
            });
            put_list(out, numbered, |out, (name, number, output)| {
                let (binding, arrived_ms) =
                    (output.binding.as_deref().unwrap_or_default(), timeline::ms_of(output.arrived));
                put_output(out, &Head { upstream: name, binding, number, arrived_ms }, &output.message, &mut sharing);
            });
            put_list(out, &record.changes, |out, change| put_change(out, change, &mut sharing));
        });
        (self.next, self.sharing) = (next, sharing);
    }

    fn body(&mut self, kind: u8, write: impl FnOnce(&mut BytesMut)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.bodies.push((kind, start..self.bytes.len()));
    }
}

/// With what it may share.
fn messages(record: &Record) -> usize {
    let values = record.changes.iter().filter_map(|change| change.value.as_ref());
    record.outputs.len() + values.filter(|value| value.message().is_some()).count()
}

/// Whether a record goes into so many bytes of the log. It is written for trial only where it is not clear.
pub(super) fn fits(record: &Record, names: &[Arc<str>], qos0: Qos0, most: usize) -> bool {
    if weight(record, qos0) <= most {
        return true;
    }
    let mut trial = Batch::new(qos0);
    trial.next = vec![0; names.len()];
    trial.record(record, names);
    trial.framed() <= most
}

/// About the bytes of a record in the log, if its messages shared nothing.
pub(super) fn weight(record: &Record, qos0: Qos0) -> usize {
    let kept = record.outputs.iter().filter(|output| output.is_kept(qos0));
    let outputs: usize = kept.map(|output| output.message.weight()).sum();
    let changes: usize = record.changes.iter().map(super::Change::weight).sum();
    FRAME_BYTES + outputs + changes
}
