//! What the frames of the archive mean, folded: by the archive that writes them and by whoever only looks.
//!
//! ```text
//! kind 1, Snapshot: JSON                // the first of each segment: everything before it, but the letters
//! kind 2, DeadLetter: id: u64, number: u64, archived_ms: u64, letter
//! kind 3, Marks:    JSON                // letters that are gone, and letters that are to go again
//! ```
//!
//! `archived_ms` is in the gateway's own time (`base::timeline`), because letters grow too old by it.
//!
//! A letter has two numbers: its `id` in the archive, for people, never given to another one; and the number that it had in the
//! spool, by which a letter that was archived just before a crash is known again.
//!
//! A letter that stands in several segments is the last one of them: it was taken along before its first segment goes (`carry`).

use std::collections::BTreeMap;

use bytes::{BufMut, BytesMut};
use serde::{Deserialize, Serialize};

use crate::spool::Intervals;
use crate::spool::log::{Frame, Location};

pub(super) const SNAPSHOT: u8 = 1;
pub(super) const LETTER: u8 = 2;
pub(super) const MARKS: u8 = 3;

#[derive(Debug)]
pub struct Fold {
    /// The spool that `through` belongs to. Another one counts from the beginning.
    pub spool: Option<u128>,
    /// The highest number that came from it.
    pub through: u64,
    pub next_id: u64,
    pub removed: Intervals,
    /// To be requeued.
    pub marked: Intervals,
    /// By segment, those that hold letters.
    pub segments: BTreeMap<u64, Held>,
    /// Frames that verify and make no sense.
    pub unreadable: u64,
}

/// The letters of one segment.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Removed ones as well.
    pub ids: Intervals,
    pub newest_ms: u64,
}

/// A letter as it stands in its frame.
pub struct Written<'a> {
    pub id: u64,
    pub number: u64,
    pub archived_ms: u64,
    pub letter: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct Snapshot {
    spool: Option<String>,
    through: u64,
    next_id: u64,
    removed: Vec<(u64, u64)>,
    marked: Vec<(u64, u64)>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Marks {
    pub removed: Vec<(u64, u64)>,
    pub marked: Vec<(u64, u64)>,
    /// Marked by mistake: its binding is not there.
    pub unmarked: Vec<(u64, u64)>,
}

// === impl Fold ===

impl Default for Fold {
    fn default() -> Self {
        Self {
            spool: None,
            through: 0,
            next_id: 1,
            removed: Intervals::default(),
            marked: Intervals::default(),
            segments: BTreeMap::new(),
            unreadable: 0,
        }
    }
}

impl Fold {
    pub fn apply(&mut self, at: Location, frame: Frame<'_>) {
        let understood = match frame.kind {
            SNAPSHOT => serde_json::from_slice(frame.body).map(|snapshot| self.snapshot(snapshot)).is_ok(),
            LETTER => Written::decode(frame.body).map(|letter| self.letter(at, &letter)).is_some(),
            MARKS => serde_json::from_slice(frame.body).map(|marks| self.marks(&marks)).is_ok(),
            _ => false,
        };
        self.unreadable += u64::from(!understood);
    }

    /// Whether the letter that stands in this segment is one that is not removed.
    pub fn is_there(&self, segment: u64, id: u64) -> bool {
        !self.removed.contains(id) && self.segments.get(&segment).is_some_and(|held| held.ids.contains(id))
    }

    /// Letters in a segment that are not removed.
    pub fn left_in(&self, held: &Held) -> u64 {
        held.ids.count() - held.ids.ranges().map(|range| self.removed.count_in(range)).sum::<u64>()
    }

    pub fn letters(&self) -> u64 {
        self.segments.values().map(|held| self.left_in(held)).sum()
    }

    /// The segment is gone, and what is remembered of its letters.
    pub fn forget(&mut self, segment: u64) {
        for range in self.segments.remove(&segment).unwrap_or_default().ids.ranges() {
            self.removed.remove_range(range.clone());
            self.marked.remove_range(range);
        }
        // Also what stood in segments that were lost.
        let first = |held: &Held| held.ids.ranges().next().map(|range| range.start);
        let oldest = self.segments.values().filter_map(first).min().unwrap_or(self.next_id);
        self.removed.remove_below(oldest);
        self.marked.remove_below(oldest);
    }

    pub(super) fn encode_snapshot(&self) -> Vec<u8> {
        let snapshot = Snapshot {
            spool: self.spool.map(|id| format!("{id:032x}")),
            through: self.through,
            next_id: self.next_id,
            removed: pairs(&self.removed),
            marked: pairs(&self.marked),
        };
        serde_json::to_vec(&snapshot).unwrap_or_default()
    }

    fn snapshot(&mut self, snapshot: Snapshot) {
        self.spool = snapshot.spool.and_then(|id| u128::from_str_radix(&id, 16).ok());
        self.through = snapshot.through;
        self.next_id = self.next_id.max(snapshot.next_id);
        (self.removed, self.marked) = (set(&snapshot.removed), set(&snapshot.marked));
    }

    fn letter(&mut self, at: Location, letter: &Written<'_>) {
        if letter.id < self.next_id {
            self.segments.values_mut().for_each(|held| held.ids.remove(letter.id));
        }
        let held = self.segments.entry(at.segment).or_default();
        held.ids.insert(letter.id);
        held.newest_ms = held.newest_ms.max(letter.archived_ms);
        self.next_id = self.next_id.max(letter.id + 1);
        self.through = self.through.max(letter.number);
    }

    fn marks(&mut self, marks: &Marks) {
        self.removed.extend(&set(&marks.removed));
        self.marked.extend(&set(&marks.marked));
        let gone: Vec<_> = marks.removed.iter().chain(&marks.unmarked).copied().collect();
        self.marked = without(&self.marked, &set(&gone));
    }
}

// === impl Written ===

impl<'a> Written<'a> {
    pub fn decode(body: &'a [u8]) -> Option<Self> {
        let (id, body) = body.split_first_chunk()?;
        let (number, body) = body.split_first_chunk()?;
        let (archived_ms, letter) = body.split_first_chunk()?;
        let id = u64::from_le_bytes(*id);
        // The last number there is has no successor, and is none that we gave.
        (id < u64::MAX).then_some(())?;
        let (number, archived_ms) = (u64::from_le_bytes(*number), u64::from_le_bytes(*archived_ms));
        Some(Self { id, number, archived_ms, letter })
    }

    pub(super) fn encode(&self) -> BytesMut {
        let mut out = BytesMut::with_capacity(24 + self.letter.len());
        out.put_u64_le(self.id);
        out.put_u64_le(self.number);
        out.put_u64_le(self.archived_ms);
        out.put_slice(self.letter);
        out
    }
}

pub(super) fn pairs(set: &Intervals) -> Vec<(u64, u64)> {
    set.ranges().map(|range| (range.start, range.end)).collect()
}

fn set(pairs: &[(u64, u64)]) -> Intervals {
    let mut set = Intervals::default();
    pairs.iter().for_each(|(start, end)| set.insert_range(*start..*end));
    set
}

fn without(set: &Intervals, gone: &Intervals) -> Intervals {
    let mut left = Intervals::default();
    set.numbers().filter(|number| !gone.contains(*number)).for_each(|number| left.insert(number));
    left
}
