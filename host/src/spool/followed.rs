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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tap::{Taps, Wanted, Watching};
    use crate::topic::TopicName;

    fn watching() -> (Trace, Watching) {
        let taps = Arc::new(Taps::default());
        let wanted =
            Wanted { filter: "#".into(), client: None, why: true, every: 1, rate: 100, count: None, seconds: 60 };
        let watching = taps.open(wanted).unwrap();
        (taps.begin(&TopicName::parse("t").unwrap(), "c", false).unwrap(), watching)
    }

    fn followed() -> Followed {
        Followed::of(vec!["cloud".into(), "edge".into()])
    }

    /// Upstream, number, and what became of it.
    async fn next_end(watching: &mut Watching) -> (String, Option<u64>, String) {
        loop {
            match watching.next().await.step {
                Step::Ended { upstream, number, fate } => return (upstream, number, fate),
                Step::Spool { .. } => {}
                step => panic!("{step:?}"),
            }
        }
    }

    fn end(upstream: &str, number: Option<u64>, fate: &str) -> (String, Option<u64>, String) {
        (upstream.to_owned(), number, fate.to_owned())
    }

    #[tokio::test]
    async fn each_end_is_told_once_with_its_upstream_and_its_fate() {
        let (trace, mut watching) = watching();
        let mut followed = followed();
        (1..=4).for_each(|number| followed.begin(0, Position::of(number), 0, &trace));
        followed.begin(1, Position::of(1), 0, &trace);
        followed.end(1, Position::of(1), Fate::Expired);
        followed.end(1, Position::of(1), Fate::Forwarded);
        let mut numbers = Intervals::default();
        numbers.insert_range(2..4);
        followed.end_all(0, &numbers, Fate::Dropped);
        followed.end(0, Position::of(1), Fate::Forwarded);
        assert_eq!(next_end(&mut watching).await, end("edge", Some(1), "expired"));
        let mut dropped = [next_end(&mut watching).await.1, next_end(&mut watching).await.1];
        dropped.sort();
        assert_eq!(dropped, [Some(2), Some(3)]);
        assert_eq!(next_end(&mut watching).await, end("cloud", Some(1), "acknowledged"));
        assert_eq!(followed.entries.len(), 1);
    }

    #[tokio::test]
    async fn what_leaves_memory_unsent_is_told_as_dropped() {
        let (trace, mut watching) = watching();
        let mut followed = followed();
        let at = |sequence| Position { number: 0, sequence };
        (1..=3).for_each(|sequence| followed.begin(0, at(sequence), 0, &trace));
        followed.end_missing(0, |position| position.sequence != 2);
        followed.end(0, at(1), Fate::Forwarded);
        assert_eq!(next_end(&mut watching).await, end("cloud", None, "dropped"));
        assert_eq!(next_end(&mut watching).await, end("cloud", None, "written"));
    }

    #[test]
    fn no_more_than_so_many_are_followed() {
        let (trace, _watching) = watching();
        let mut followed = followed();
        (1..=MOST as u64 + 10).for_each(|number| followed.begin(0, Position::of(number), 0, &trace));
        assert_eq!(followed.entries.len(), MOST);
    }
}
