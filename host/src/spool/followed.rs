//! Entries that an operator follows, from their place in the spool to their end there.
//!
//! By position and not in the entry, which may leave memory and come back from the log. Empty as a rule, and then one look is all that it costs, under
//! a lock that is held anyway.

use std::collections::HashMap;
use std::sync::Arc;

use super::intervals::Intervals;
use super::{Entry, Fate, Position};
use crate::tap::{Step, Trace};

/// More are not followed: an upstream may be away for days, and its operator looks at some of them.
const MOST: usize = 1_024;

#[derive(Default)]
pub(super) struct Followed {
    names: Vec<Arc<str>>,
    entries: HashMap<(usize, Position), Trace>,
}

// === impl Followed ===

impl Followed {
    /// Of upstreams with these names.
    pub fn of(names: Vec<Arc<str>>) -> Self {
        Self { names, ..Self::default() }
    }

    /// It has this place, behind so many.
    pub fn begin(&mut self, upstream: usize, position: Position, ahead: usize, trace: &Trace) {
        if self.entries.len() >= MOST {
            return;
        }
        trace.tell(|| Step::Spool { upstream: self.name(upstream), number: number(position), ahead });
        self.entries.insert((upstream, position), trace.clone());
    }

    /// The sender has them.
    pub fn sending(&self, upstream: usize, entries: &[Entry]) {
        if self.entries.is_empty() {
            return;
        }
        for position in entries.iter().map(|entry| entry.position) {
            if let Some(trace) = self.entries.get(&(upstream, position)) {
                trace.tell(|| Step::Sending { upstream: self.name(upstream), number: number(position) });
            }
        }
    }

    pub fn end(&mut self, upstream: usize, position: Position, fate: Fate) {
        if self.entries.is_empty() {
            return;
        }
        if let Some(trace) = self.entries.remove(&(upstream, position)) {
            self.tell_end(&trace, upstream, position, fate);
        }
    }

    /// The same for those of the log with these numbers.
    pub fn end_all(&mut self, upstream: usize, numbers: &Intervals, fate: Fate) {
        self.end_where(upstream, fate, |position| position.sequence == 0 && numbers.contains(position.number));
    }

    /// The same for those in memory that are not there any more.
    pub fn end_missing(&mut self, upstream: usize, is_there: impl Fn(Position) -> bool) {
        self.end_where(upstream, Fate::Dropped, |position| position.sequence > 0 && !is_there(position));
    }

    fn end_where(&mut self, upstream: usize, fate: Fate, ends: impl Fn(Position) -> bool) {
        if self.entries.is_empty() {
            return;
        }
        let ended = self.entries.extract_if(|(of, position), _| *of == upstream && ends(*position));
        let ended: Vec<_> = ended.collect();
        for ((_, position), trace) in ended {
            self.tell_end(&trace, upstream, position, fate);
        }
    }

    fn tell_end(&self, trace: &Trace, upstream: usize, position: Position, fate: Fate) {
        let fate = fate.told(position.sequence == 0).to_owned();
        trace.tell(|| Step::Ended { upstream: self.name(upstream), number: number(position), fate: fate.clone() });
    }

    fn name(&self, upstream: usize) -> String {
        self.names.get(upstream).map_or_else(String::new, |name| name.to_string())
    }
}

/// Of one that is on the disk.
fn number(position: Position) -> Option<u64> {
    (position.sequence == 0).then_some(position.number)
}
