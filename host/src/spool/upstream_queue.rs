//! The entries of one upstream: a shelf for QoS 1 and 2, a ring for QoS 0, read as one in the order of positions.
//!
//! ```text
//!  number ─▶  0 … done …│  in memory (shelf)  │  only in the log (spilled)  │ next
//!                       oldest              loaded                        placed
//! ```
//!
//! The shelf is a window on the log: those that are next to be sent, up to [`SHELF_BYTES`]. What comes when it is full stays
//! in the log alone and is counted; when the shelf is half empty, the refill reads on where the window ends. After a restart
//! everything is "only in the log", and the same refill brings it back: there is one way into memory for a backlog, not two.

mod evicted;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::intervals::Intervals;
use super::log::Location;
use super::offsets::Offsets;
use super::parts::Parts;
use super::qos0_ring::Qos0Ring;
use super::unread::Unread;
use super::{Entry, Position};
use crate::base::name::Name;
use crate::message::QoS;
use crate::metrics::UpstreamMetrics;

/// What one upstream keeps in memory of its backlog. About a second of a fast upstream, so that the refill is never late.
pub(super) const SHELF_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct UpstreamQueue {
    /// By rising number. A completed slot is empty, and leaves when everything before it is completed too.
    shelf: VecDeque<Slot>,
    shelf_messages: usize,
    shelf_bytes: usize,
    ring: Qos0Ring,
    last_sequence: u64,
    /// Whose those of QoS 1 and 2 are: in memory, and in the log alone; and how many bindings there may be.
    parts: Parts,
    unread: Unread,
    pub bindings: usize,
    loaded: u64,
    placed: u64,
    /// Incomplete numbers between `loaded` and `placed`, and where in the log to look for them.
    spilled: u64,
    from: Location,
    /// Numbers from `loaded` on that are done.
    done: Intervals,
    /// Which segment the numbers from this one on are in, for those that are only in the log.
    segment_starts: BTreeMap<u64, u64>,
    /// Changes when what the refill is reading just now is not what it was asked for any more.
    version: u64,
    /// Numbers below may have been sent, and only the upstream can say what became of them.
    handed: u64,
    /// Of an upstream that is not configured: nobody reads it.
    pub is_orphan: bool,
    /// None for the dead letters, which are no messages of an upstream.
    pub metrics: Option<Arc<UpstreamMetrics>>,
}

#[derive(Debug)]
struct Slot {
    number: u64,
    entry: Option<Entry>,
}

/// What the refill is to read: the numbers from `loaded` to `end` in one segment.
#[derive(Clone, Debug)]
pub(super) struct Want {
    pub upstream: usize,
    pub from: Location,
    pub loaded: u64,
    pub end: u64,
    /// No number beyond `end` is placed yet: the segment may grow.
    pub is_last: bool,
    pub done: Intervals,
    version: u64,
}

/// What the refill has read for a want.
#[derive(Debug)]
pub(super) struct Loaded {
    /// In order.
    pub entries: Vec<Entry>,
    /// Where it goes on.
    pub next: Location,
    /// The segment has nothing more of what was wanted.
    pub is_over: bool,
}

/// Where the numbers are that are not done.
fn segment_starts(offsets: &Offsets) -> BTreeMap<u64, u64> {
    offsets.runs().iter().map(|(start, run)| (start, run.segment)).collect()
}

// === impl UpstreamQueue ===

impl UpstreamQueue {
    /// As it stands after a restart: nothing in memory, everything that is not done in the log.
    pub fn restored(offsets: &mut Offsets) -> Self {
        let (loaded, placed) = (offsets.oldest(), offsets.next());
        let mut done = offsets.done().clone();
        done.remove_below(loaded);
        let segment_starts = segment_starts(offsets);
        let mut queue = Self {
            shelf: VecDeque::new(),
            shelf_messages: 0,
            shelf_bytes: 0,
            ring: Qos0Ring::default(),
            last_sequence: 0,
            parts: Parts::default(),
            unread: offsets.take_unread(),
            bindings: 1,
            loaded,
            placed,
            spilled: offsets.incomplete(),
            from: Location::START,
            done,
            segment_starts,
            version: 0,
            handed: 0,
            is_orphan: false,
            metrics: None,
        };
        queue.seek_first();
        queue
    }

    /// A message that is in the log now: onto the shelf when it is next and there is room, else only counted.
    pub fn place(&mut self, entry: Entry, at: Location) {
        let number = entry.position.number;
        self.placed = number + 1;
        if self.segment_starts.last_key_value().is_none_or(|(_, segment)| *segment != at.segment) {
            self.segment_starts.insert(number, at.segment);
            self.forget_segment_starts();
        }
        if self.spilled == 0 && self.shelf_bytes < SHELF_BYTES {
            return self.keep(entry);
        }
        if self.spilled == 0 {
            (self.from, self.loaded) = (at, number);
            self.version += 1;
            self.forget_segment_starts();
        }
        self.spilled += 1;
        self.unread.add(number, at.segment, &entry.binding, entry.message.weight() as u64);
    }

    /// What the refill has read. Returns the numbers that it should have met and did not.
    pub fn load(&mut self, want: &Want, loaded: Loaded) -> Intervals {
        let mut lost = Intervals::default();
        if want.version != self.version {
            return lost;
        }
        for entry in loaded.entries {
            let number = entry.position.number;
            if number < self.loaded || number >= self.placed || self.done.contains(number) {
                continue;
            }
            for missing in (self.loaded..number).filter(|number| !self.done.contains(*number)) {
                lost.insert(missing);
            }
            self.spilled -= 1;
            self.unread.read(number, &entry.binding);
            self.keep(entry);
        }
        self.from = loaded.next;
        if loaded.is_over && self.loaded < want.end {
            (self.loaded..want.end)
                .filter(|number| !self.done.contains(*number))
                .for_each(|number| lost.insert(number));
            self.loaded = want.end;
            self.done.remove_below(self.loaded);
        }
        self.spilled -= lost.count_in(0..self.loaded);
        self.forget_unread();
        if loaded.is_over {
            self.seek_first();
        }
        lost
    }

    /// Some of it stands elsewhere in the log now.
    pub fn relocate(&mut self, offsets: &Offsets) {
        self.segment_starts = segment_starts(offsets);
        self.seek_first();
    }

    /// Takes out one message that was not sent and is only in the log, or waits behind what was. `false` when it is not here or
    /// may have been sent.
    pub fn drop_unsent(&mut self, number: u64) -> bool {
        number >= self.handed && self.complete(Position::of(number))
    }

    /// Whether it is in memory, whatever became of it in the log.
    pub fn is_on_shelf(&self, number: u64) -> bool {
        number < self.loaded
    }

    /// These may have been sent.
    pub fn mark_possibly_sent(&mut self, below: u64) {
        self.handed = self.handed.max(below);
    }

    /// What to read when the shelf is half empty and there is more in the log.
    pub fn want(&self, upstream: usize) -> Option<Want> {
        let Self { from, loaded, placed, version, .. } = *self;
        let next = self.segment_starts.range(loaded + 1..).next().map(|(start, _)| *start);
        let (end, is_last) = (next.unwrap_or(placed).min(placed), next.is_none_or(|next| next >= placed));
        self.is_hungry().then(|| Want { upstream, from, loaded, end, is_last, done: self.done.clone(), version })
    }

    pub fn is_hungry(&self) -> bool {
        !self.is_orphan && self.spilled > 0 && self.shelf_bytes < SHELF_BYTES / 2
    }

    /// Puts a QoS 0 message into the ring: where it is, and how many had to go for it. It never waits for a backlog.
    pub fn ring(&mut self, mut entry: Entry, max_messages: usize) -> (Position, usize) {
        self.last_sequence += 1;
        entry.position = Position { number: self.loaded.saturating_sub(1), sequence: self.last_sequence };
        (entry.position, self.ring.push(entry, max_messages))
    }

    /// Whether this one of QoS 0 is still here.
    pub fn has_qos0(&self, position: Position) -> bool {
        self.ring.contains(position)
    }

    /// At most `max` entries after a position; at least one if there is one, then no more than `max_bytes`.
    pub fn read(&self, after: Position, max: usize, max_bytes: usize, copy: fn(&Entry) -> Entry) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for entry in self.after(after).take(max) {
            bytes += entry.message.weight();
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(copy(entry));
        }
        entries
    }

    /// Of QoS 1 and 2, as the spool has them, in order: what is in memory and not completed.
    pub fn acknowledged(&self) -> impl Iterator<Item = &Entry> {
        let entries = self.shelf.iter().filter_map(|slot| slot.entry.as_ref());
        entries.filter(|entry| entry.message.qos > QoS::AtMostOnce)
    }

    /// QoS 0 alone, by its sequence.
    pub fn read_qos0(&self, after: u64, max: usize) -> Vec<Entry> {
        self.ring.after_sequence(after).take(max).map(Entry::to_send).collect()
    }

    pub fn has_qos0_after(&self, after: u64) -> bool {
        self.ring.has_after(after)
    }

    pub fn has_after(&self, after: Position) -> bool {
        self.after(after).next().is_some()
    }

    /// Takes an entry out. `false` when it is not here (any more).
    pub fn complete(&mut self, position: Position) -> bool {
        if position.sequence > 0 {
            return self.ring.complete(position);
        }
        let number = position.number;
        if (self.loaded..self.placed).contains(&number) && !self.done.contains(number) {
            self.unread.end(number..number + 1, &self.done);
            self.done.insert(number);
            self.spilled -= 1;
            return true;
        }
        let Some(index) = self.index_of(number) else { return false };
        let Some(entry) = self.shelf.get_mut(index).and_then(|slot| slot.entry.take()) else { return false };
        self.left_shelf(&entry);
        if self.shelf_messages == 0 && self.spilled == 0 {
            self.parts.clear();
        }
        self.trim_shelf();
        true
    }

    /// Bytes of QoS 1 and 2 that this binding has here.
    pub fn part(&self, binding: &Option<Name>) -> u64 {
        self.parts.of(binding).saturating_add(self.unread.of(binding))
    }

    pub fn len(&self) -> usize {
        self.shelf_messages + self.ring.len() + usize::try_from(self.spilled).unwrap_or(usize::MAX)
    }

    /// Bytes in memory.
    pub fn weight(&self) -> usize {
        self.shelf_bytes + self.ring.weight()
    }

    /// It has been taken out.
    fn left_shelf(&mut self, entry: &Entry) {
        self.shelf_messages -= 1;
        self.shelf_bytes -= entry.message.weight();
        self.parts.complete(entry);
    }

    fn keep(&mut self, entry: Entry) {
        let number = entry.position.number;
        self.parts.place(&entry);
        self.loaded = number + 1;
        self.done.remove_below(self.loaded);
        self.shelf_messages += 1;
        self.shelf_bytes += entry.message.weight();
        self.shelf.push_back(Slot { number, entry: Some(entry) });
    }

    /// Where a number is on the shelf. As usual none is missing there, and its place follows from the first: a search would
    /// touch a dozen entries.
    fn index_of(&self, number: u64) -> Option<usize> {
        let first = self.shelf.front()?.number;
        let near = usize::try_from(number.checked_sub(first)?).ok()?;
        if self.shelf.get(near).is_some_and(|slot| slot.number == number) {
            return Some(near);
        }
        self.shelf.binary_search_by_key(&number, |slot| slot.number).ok()
    }

    fn trim_shelf(&mut self) {
        while self.shelf.front().is_some_and(|slot| slot.entry.is_none()) {
            self.shelf.pop_front();
        }
    }

    /// What is in memory or done by now.
    fn forget_unread(&mut self) {
        match self.spilled {
            0 => self.unread.clear(),
            _ => self.unread.prune(self.loaded),
        }
    }

    /// To the segment in which the next one to load is.
    fn seek_first(&mut self) {
        self.version += 1;
        self.forget_segment_starts();
        let home = self.segment_starts.first_key_value().map_or(0, |(_, segment)| *segment);
        self.from = Location { segment: home, offset: 0 };
    }

    fn forget_segment_starts(&mut self) {
        while self.segment_starts.keys().nth(1).is_some_and(|second| *second <= self.loaded) {
            self.segment_starts.pop_first();
        }
    }

    /// Shelf and ring after a position, merged.
    fn after(&self, after: Position) -> impl Iterator<Item = &Entry> {
        let kept = self.shelf.partition_point(|slot| Position::of(slot.number) <= after);
        let mut kept = self.shelf.range(kept..).filter_map(|slot| slot.entry.as_ref()).peekable();
        let mut rung = self.ring.after(after).peekable();
        std::iter::from_fn(move || match (kept.peek(), rung.peek()) {
            (Some(left), Some(right)) if right.position < left.position => rung.next(),
            (Some(_), _) => kept.next(),
            (None, _) => rung.next(),
        })
    }
}
