//! Where the messages of one upstream are in the log, and what they weigh.
//!
//! ```text
//!  number ─▶  1 ........ 4000 │ 4001 ...... 9000 │ 9001 .....
//!  segment        7 (moved)   │        3         │     4
//! ```
//!
//! Numbers rise through the log, so that one entry for each segment says it all; but a message that has to leave the oldest
//! segment is written again at the end ([`super::committer`]), and then the oldest numbers stand in the newest segment. Weight is
//! kept by run, not by message: what completes takes the average of its run with it, which is exact when a run is over.

use std::collections::BTreeMap;
use std::ops::Range;

use super::intervals::Intervals;
use crate::base::clock;

/// By the first number of each run; a run ends where the next begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs(BTreeMap<u64, Run>);

/// Numbers that stand in one segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub segment: u64,
    /// Incomplete messages in it, and about their bytes; of those the bytes of QoS 0.
    pub live: u64,
    pub bytes: u64,
    pub qos0: u64,
    /// When the newest of them arrived.
    pub newest_ms: u64,
    /// When the last of them expires by its own interval; never is `u64::MAX`.
    pub dies_ms: u64,
}

/// What the log has to know of an output, beyond its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight {
    pub bytes: u64,
    pub is_qos0: bool,
    pub arrived_ms: u64,
    pub dies_ms: u64,
}

// === impl Runs ===

impl Runs {
    /// An output in a frame of this segment; `number` is the highest so far.
    pub fn push(&mut self, number: u64, segment: u64, weight: Weight) {
        let last = self.0.last_entry().filter(|last| last.get().segment == segment);
        match last {
            Some(mut last) => last.get_mut().add(weight),
            None => drop(self.0.insert(number, Run::of(segment, weight))),
        }
    }

    /// These numbers are being completed; `done` does not have them yet.
    pub fn complete(&mut self, range: Range<u64>, done: &Intervals) {
        let first = self.first_of(range.start).unwrap_or(range.start);
        let starts: Vec<u64> = self.0.range(first..range.end.max(first)).map(|(start, _)| *start).collect();
        for (index, start) in starts.iter().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(range.end).min(range.end);
            let part = range.start.max(*start)..end;
            if let Some(run) = self.0.get_mut(start).filter(|_| !part.is_empty()) {
                run.take(part.end - part.start - done.count_in(part));
            }
        }
    }

    /// An incomplete message now stands in this segment.
    pub fn moved(&mut self, number: u64, segment: u64, weight: Weight, done: &Intervals, next: u64) {
        self.split(number, done, next);
        self.split(number + 1, done, next);
        let before = self.0.range_mut(..number).next_back().filter(|(_, run)| run.segment == segment || run.live == 0);
        match before {
            Some((_, run)) if run.segment == segment => {
                run.add(weight);
                self.0.remove(&number);
            }
            _ => drop(self.0.insert(number, Run::of(segment, weight))),
        }
    }

    /// Makes a run begin here, if one reaches over it.
    fn split(&mut self, at: u64, done: &Intervals, next: u64) {
        let Some(start) = self.first_of(at).filter(|start| *start < at) else { return };
        let end = self.end_of(start, next);
        let Some(run) = self.0.get_mut(&start).filter(|_| at < end) else { return };
        let right = end - at - done.count_in(at..end);
        let left = run.live.saturating_sub(right);
        let mut other = *run;
        run.take(right);
        other.take(left);
        self.0.insert(at, other);
    }

    /// Forgets the runs at the front that are over.
    pub fn prune(&mut self, oldest: u64) {
        while self.0.keys().nth(1).is_some_and(|second| *second <= oldest) {
            self.0.pop_first();
        }
    }

    /// The oldest segment that holds something incomplete.
    pub fn needed_segment(&self) -> Option<u64> {
        self.0.values().filter(|run| run.live > 0).map(|run| run.segment).min()
    }

    /// Where a number is.
    pub fn segment_of(&self, number: u64) -> Option<u64> {
        self.first_of(number).and_then(|first| self.0.get(&first)).map(|run| run.segment)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &Run)> {
        self.0.iter().map(|(start, run)| (*start, run))
    }

    /// The number at which a run begins, and the one after its last.
    pub fn end_of(&self, start: u64, next: u64) -> u64 {
        self.0.range(start + 1..).next().map_or(next, |(second, _)| *second)
    }

    fn first_of(&self, number: u64) -> Option<u64> {
        self.0.range(..=number).next_back().map(|(start, _)| *start)
    }
}

// === impl Run ===

impl Run {
    fn of(segment: u64, weight: Weight) -> Self {
        let mut run = Self { segment, ..Self::default() };
        run.add(weight);
        run
    }

    fn add(&mut self, weight: Weight) {
        self.live += 1;
        self.bytes += weight.bytes;
        self.qos0 += if weight.is_qos0 { weight.bytes } else { 0 };
        self.newest_ms = self.newest_ms.max(weight.arrived_ms);
        self.dies_ms = self.dies_ms.max(weight.dies_ms);
    }

    fn take(&mut self, count: u64) {
        let left = self.live.saturating_sub(count);
        let share = |bytes: u64| {
            if self.live == 0 { 0 } else { (u128::from(bytes) * u128::from(left) / u128::from(self.live)) as u64 }
        };
        (self.bytes, self.qos0) = (share(self.bytes), share(self.qos0));
        self.live = left;
    }

    /// Whether everything in it is too old to be sent.
    pub fn is_dead(&self, now_ms: u64, max_age_ms: Option<u64>) -> bool {
        let aged = max_age_ms.map_or(u64::MAX, |age| self.newest_ms.saturating_add(age));
        // Of unknown age: later rather than sooner.
        clock::is_plausible(self.newest_ms) && self.dies_ms.min(aged) <= now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(bytes: u64) -> Weight {
        Weight { bytes, is_qos0: false, arrived_ms: 0, dies_ms: u64::MAX }
    }

    fn shown(runs: &Runs) -> Vec<(u64, u64, u64, u64)> {
        runs.iter().map(|(start, run)| (start, run.segment, run.live, run.bytes)).collect()
    }

    #[test]
    fn what_moves_leaves_its_run_and_neighbours_in_one_segment_are_one_run() {
        let (mut runs, mut done) = (Runs::default(), Intervals::default());
        (1..=20).for_each(|number| runs.push(number, (number - 1) / 10, weight(100)));
        runs.complete(1..5, &done);
        done.insert_range(0..5);
        assert_eq!(shown(&runs), [(1, 0, 6, 600), (11, 1, 10, 1000)]);
        for number in 5..=7 {
            runs.moved(number, 9, weight(100), &done, 21);
        }
        assert_eq!(shown(&runs), [(1, 0, 0, 0), (5, 9, 3, 300), (8, 0, 3, 300), (11, 1, 10, 1000)]);
        assert_eq!((runs.needed_segment(), runs.segment_of(6), runs.end_of(5, 21)), (Some(0), Some(9), 8));
        (8..=10).for_each(|number| runs.moved(number, 9, weight(100), &done, 21));
        runs.prune(5);
        assert_eq!(shown(&runs), [(5, 9, 6, 600), (11, 1, 10, 1000)]);
        assert_eq!(runs.needed_segment(), Some(1));
        runs.push(21, 9, weight(50));
        runs.complete(3..22, &done);
        assert_eq!(runs.needed_segment(), None);
    }
}
