//! The entries of one upstream: a shelf for QoS 1 and 2, a ring for QoS 0, read as one in the order of positions.

use std::collections::VecDeque;

use super::{Entry, Position};

#[derive(Debug, Default)]
pub(super) struct Line {
    /// QoS 1 and 2, by rising position. A completed slot is empty, and leaves when everything before it is completed too.
    shelf: VecDeque<Slot>,
    shelf_messages: usize,
    shelf_bytes: usize,
    ring: VecDeque<Entry>,
    ring_bytes: usize,
    /// Records in the waiting list that want room here. While there is one, nobody overtakes it.
    pub(super) waiters: usize,
}

#[derive(Debug)]
struct Slot {
    position: Position,
    entry: Option<Entry>,
}

/// What a record needs on the shelf of one upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Need {
    pub upstream: usize,
    pub messages: usize,
    pub bytes: usize,
}

// === impl Line ===

impl Line {
    /// Room for `need`. An empty shelf has room for anything: a record larger than the whole shelf would wait for ever.
    pub fn has_room(&self, need: &Need, max_messages: usize, max_bytes: usize) -> bool {
        self.shelf_messages == 0
            || (self.shelf_messages + need.messages <= max_messages && self.shelf_bytes + need.bytes <= max_bytes)
    }

    pub fn keep(&mut self, entry: Entry) {
        self.shelf_messages += 1;
        self.shelf_bytes += entry.message.weight();
        self.shelf.push_back(Slot { position: entry.position, entry: Some(entry) });
    }

    /// Puts a QoS 0 entry into the ring and says how many of the oldest had to go for it.
    pub fn ring(&mut self, entry: Entry, max_messages: usize, max_bytes: usize) -> usize {
        self.ring_bytes += entry.message.weight();
        self.ring.push_back(entry);
        let mut dropped = 0;
        // The byte cap leaves the newest alone: one large message is not a reason to keep none.
        while self.ring.len() > max_messages || (self.ring_bytes > max_bytes && self.ring.len() > 1) {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.ring_bytes -= oldest.message.weight();
            dropped += 1;
        }
        dropped
    }

    /// At most `max` entries after a position; at least one if there is one, then no more than `max_bytes`.
    pub fn read(&self, after: Position, max: usize, max_bytes: usize) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        for entry in self.after(after).take(max) {
            bytes += entry.message.weight();
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        entries
    }

    pub fn has_after(&self, after: Position) -> bool {
        self.after(after).next().is_some()
    }

    /// Takes an entry out. `false` when it is not here (any more).
    pub fn complete(&mut self, position: Position) -> bool {
        if let Ok(index) = self.shelf.binary_search_by_key(&position, |slot| slot.position) {
            let Some(entry) = self.shelf.get_mut(index).and_then(|slot| slot.entry.take()) else { return false };
            self.shelf_messages -= 1;
            self.shelf_bytes -= entry.message.weight();
            while self.shelf.front().is_some_and(|slot| slot.entry.is_none()) {
                self.shelf.pop_front();
            }
            return true;
        }
        let Ok(index) = self.ring.binary_search_by_key(&position, |entry| entry.position) else { return false };
        let Some(entry) = self.ring.remove(index) else { return false };
        self.ring_bytes -= entry.message.weight();
        true
    }

    pub fn len(&self) -> usize {
        self.shelf_messages + self.ring.len()
    }

    /// Shelf and ring after a position, merged.
    fn after(&self, after: Position) -> impl Iterator<Item = &Entry> {
        let kept = self.shelf.partition_point(|slot| slot.position <= after);
        let rung = self.ring.partition_point(|entry| entry.position <= after);
        let mut kept = self.shelf.range(kept..).filter_map(|slot| slot.entry.as_ref()).peekable();
        let mut rung = self.ring.range(rung..).peekable();
        std::iter::from_fn(move || match (kept.peek(), rung.peek()) {
            (Some(left), Some(right)) if right.position < left.position => rung.next(),
            (Some(_), _) => kept.next(),
            (None, _) => rung.next(),
        })
    }
}
