//! What goes unsent, because there is too much: below a number, or of one binding. What may have been sent stays.

use std::ops::Range;

use super::UpstreamQueue;
use crate::base::name::Name;
use crate::spool::Entry;
use crate::spool::intervals::Intervals;

/// Ranges of numbers that are done, at most, when single messages go: each segment begins with all of them.
const MAX_RANGES: usize = 4_096;

impl UpstreamQueue {
    /// Takes out, unsent, everything below a number, and says how many they were.
    pub fn drop_below(&mut self, below: u64) -> Intervals {
        self.drop_range(0..below)
    }

    /// The binding that has most here, when that is more than this.
    pub fn most_over(&self, part: u64) -> Option<Name> {
        let names = self.parts.names().chain(self.unread.names()).flatten();
        let (name, most) = names.map(|name| (*name, self.part(&Some(*name)))).max_by_key(|(_, part)| *part)?;
        (most > part).then_some(name)
    }

    /// Takes out, unsent, about so many bytes of one binding, from the oldest on: in memory one by one; of what is in the log alone a stretch
    /// that is mostly its own, because who else is in there is not known before it is read.
    pub fn drop_of(&mut self, binding: &Option<Name>, bytes: u64) -> Intervals {
        let mut dropped = self.drop_shelved(binding, bytes);
        if dropped.is_empty()
            && let Some(range) = self.unread.mostly_of(binding, self.placed)
        {
            dropped = self.drop_range(range);
        }
        dropped
    }

    fn drop_shelved(&mut self, binding: &Option<Name>, bytes: u64) -> Intervals {
        let (mut dropped, mut taken, mut left, handed) = (Intervals::default(), Vec::new(), bytes, self.handed);
        for slot in self.shelf.iter_mut().filter(|slot| slot.number >= handed) {
            if left == 0 || dropped.ranges().len() >= MAX_RANGES {
                break;
            }
            if let Some(entry) = slot.entry.take_if(|entry| entry.binding == *binding) {
                left = left.saturating_sub(entry.message.weight() as u64);
                dropped.insert(slot.number);
                taken.push(entry);
            }
        }
        taken.iter().for_each(|entry| self.left_shelf(entry));
        self.trim_shelf();
        dropped
    }

    fn drop_range(&mut self, range: Range<u64>) -> Intervals {
        let Range { start, end } = range;
        let mut dropped = Intervals::default();
        let unsent = self.handed.max(start)..end;
        let slots = self.shelf.iter_mut().filter(|slot| unsent.contains(&slot.number));
        let taken: Vec<Entry> = slots.filter_map(|slot| slot.entry.take()).collect();
        for entry in &taken {
            dropped.insert(entry.position.number);
            self.left_shelf(entry);
        }
        self.trim_shelf();
        let unread = self.loaded.max(unsent.start)..end.min(self.placed);
        for number in unread.clone().filter(|number| !self.done.contains(*number)) {
            dropped.insert(number);
            self.spilled -= 1;
        }
        self.unread.end(unread, &self.done);
        dropped.ranges().for_each(|range| self.done.insert_range(range));
        self.loaded = self.loaded.max(self.done.first_missing(self.loaded).min(self.placed));
        self.done.remove_below(self.loaded);
        self.forget_unread();
        self.seek_first();
        dropped
    }
}
