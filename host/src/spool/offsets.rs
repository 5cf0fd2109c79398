//! One upstream as the log knows it: which numbers were given, which are done, and where the others are.

use std::ops::Range;
use std::sync::Arc;

use super::intervals::Intervals;
use super::runs::{Run, Runs, Weight};
use super::unread::Unread;
use crate::base::name::Name;

/// The first number that an upstream gives. Zero is "before everything".
pub(super) const FIRST: u64 = 1;

#[derive(Clone, Debug)]
pub(super) struct Offsets {
    pub name: Arc<str>,
    /// The number of the next output.
    next: u64,
    /// Completed, or lost with a damaged frame. Everything below the oldest incomplete number is one range from 0.
    done: Intervals,
    /// Where the incomplete ones are.
    runs: Runs,
    /// Known to be incomplete by the first snapshot that is left, and not seen since: they have moved, and stand further on.
    awaited: Intervals,
    /// False for an upstream that was met before any snapshot told of it: what it had before cannot be known.
    known: bool,
    /// Whose they are, while a recovery reads them.
    unread: Option<Unread>,
}

// === impl Offsets ===

impl Offsets {
    /// An upstream that is met for the first time, by somebody who has read everything.
    pub fn new(name: &str) -> Self {
        Self { known: true, ..Self::unknown(name) }
    }

    /// One that is met in the middle of a damaged log.
    pub fn unknown(name: &str) -> Self {
        let mut done = Intervals::default();
        done.insert_range(0..FIRST);
        Self {
            name: name.into(),
            next: FIRST,
            done,
            runs: Runs::default(),
            awaited: Intervals::default(),
            known: false,
            unread: None,
        }
    }

    /// From now on it is counted whose messages these are.
    pub fn count_unread(&mut self) {
        self.unread.get_or_insert_default();
    }

    /// What was counted; the queue goes on with it.
    pub fn take_unread(&mut self) -> Unread {
        self.unread.take().unwrap_or_default()
    }

    /// Of which binding a message in this segment is. Before it is placed or moved.
    pub fn unread(&mut self, number: u64, segment: u64, binding: &Option<Name>, bytes: u64) {
        let is_new = number >= self.next || self.awaited.contains(number);
        if let Some(unread) = self.unread.as_mut().filter(|_| is_new) {
            unread.add(number, segment, binding, bytes);
        }
    }

    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn done(&self) -> &Intervals {
        &self.done
    }

    /// The oldest number that is not done; [`Offsets::next`] when there is none.
    pub fn oldest(&self) -> u64 {
        self.done.first_missing(0)
    }

    pub fn incomplete(&self) -> u64 {
        self.next.saturating_sub(self.done.count_in(0..self.next))
    }

    pub fn incomplete_numbers(&self) -> Intervals {
        let mut numbers = Intervals::default();
        let oldest = self.oldest();
        let mut number = oldest;
        for range in self.done.ranges().skip_while(|range| range.end <= oldest) {
            numbers.insert_range(number..range.start);
            number = range.end;
        }
        numbers.insert_range(number..self.next);
        numbers
    }

    /// The number after the first `count` incomplete ones.
    pub fn after_incomplete(&self, count: u64) -> u64 {
        let (oldest, mut left) = (self.oldest(), count);
        let mut number = oldest;
        for range in self.done.ranges().skip_while(|range| range.end <= oldest) {
            if number.saturating_add(left) <= range.start {
                break;
            }
            left -= range.start.saturating_sub(number);
            number = range.end;
        }
        number.saturating_add(left).min(self.next.max(number))
    }

    /// An output in a frame of this segment. Returns how many before it are missing.
    pub fn output(&mut self, number: u64, segment: u64, weight: Weight) -> u64 {
        if number < self.next {
            return 0;
        }
        let lost = self.skip_to(number);
        self.runs.push(number, segment, weight);
        self.next = number.saturating_add(1);
        self.runs.prune(self.oldest());
        lost
    }

    /// What a snapshot says of this upstream. Returns how many outputs before it are missing.
    pub fn snapshot(&mut self, next: u64, done: &Intervals) -> u64 {
        done.ranges().for_each(|range| self.complete(range));
        let lost = if next > self.next { self.skip_to(next) } else { 0 };
        self.next = self.next.max(next);
        self.known = true;
        lost
    }

    /// The first snapshot of a log whose beginning is gone. What was before it is done, or has moved and is still to come.
    pub fn begin_at(&mut self, next: u64, done: &Intervals) {
        self.complete(0..next);
        (self.next, self.known) = (next, true);
        self.awaited.insert_range(FIRST..next);
        done.ranges().for_each(|range| remove_range(&mut self.awaited, range));
    }

    /// A message that was written again, in a frame of this segment.
    pub fn moved(&mut self, number: u64, segment: u64, weight: Weight) {
        if number >= self.next {
            return;
        }
        // Awaited, it was only taken for done. Otherwise done is done: a copy brings nothing back.
        let is_awaited = self.awaited.contains(number);
        if is_awaited || !self.done.contains(number) {
            self.runs.moved(number, segment, weight, &self.done, self.next);
        }
        if is_awaited {
            self.awaited.remove(number);
            self.done.remove(number);
        }
    }

    /// The log has been read to its end. Returns how many were awaited in vain.
    pub fn finish(&mut self) -> u64 {
        let lost = std::mem::take(&mut self.awaited);
        lost.count_in(0..self.next)
    }

    pub fn complete(&mut self, range: Range<u64>) {
        remove_range(&mut self.awaited, range.clone());
        self.runs.complete(range.start..range.end.min(self.next), &self.done);
        if let Some(unread) = &mut self.unread {
            unread.end(range.start..range.end.min(self.next), &self.done);
        }
        self.done.insert_range(range);
        let oldest = self.oldest();
        self.runs.prune(oldest);
        self.unread.iter_mut().for_each(|unread| unread.prune(oldest));
    }

    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// About the bytes of what is incomplete, and of that what is QoS 0.
    pub fn bytes(&self) -> (u64, u64) {
        self.runs.iter().fold((0, 0), |(bytes, qos0), (_, run)| (bytes + run.bytes, qos0 + run.qos0))
    }

    /// Whether this number is incomplete and stands in this segment.
    pub fn lives_in(&self, number: u64, segment: u64) -> bool {
        number < self.next && !self.done.contains(number) && self.runs.segment_of(number) == Some(segment)
    }

    /// The incomplete numbers that stand in this segment.
    pub fn numbers_in(&self, segment: u64) -> Vec<u64> {
        let runs = self.runs.iter().filter(|(_, run)| run.segment == segment && run.live > 0);
        let numbers = runs.flat_map(|(start, _)| start..self.runs.end_of(start, self.next));
        numbers.filter(|number| !self.done.contains(*number)).collect()
    }

    /// What would go first, part by part: the runs with something incomplete, each with the number after it. The last part is the
    /// older half of the last run, which may be all there is.
    pub fn parts(&self) -> impl Iterator<Item = (u64, Run)> {
        let mut before = 0;
        self.runs.iter().filter(|(_, run)| run.live > 0).map(move |(start, run)| {
            let end = self.runs.end_of(start, self.next);
            let half = before + run.live.div_ceil(2);
            before += run.live;
            (if end >= self.next { self.after_incomplete(half).min(end) } else { end }, *run)
        })
    }

    /// The oldest segment that holds an incomplete output.
    pub fn needed_segment(&self) -> Option<u64> {
        self.runs.needed_segment()
    }

    /// Nobody can deliver the numbers from `next` on up to `number`: they are done, and counted when they were not.
    fn skip_to(&mut self, number: u64) -> u64 {
        let missing = self.next..number;
        let was_known = std::mem::replace(&mut self.known, true);
        // As always, but where the log is damaged: nothing to look for.
        if missing.is_empty() {
            return 0;
        }
        let lost = if was_known { number - self.next - self.done.count_in(missing.clone()) } else { 0 };
        self.complete(missing);
        lost
    }
}

fn remove_range(from: &mut Intervals, range: Range<u64>) {
    if from.is_empty() {
        return;
    }
    let mut left = Intervals::default();
    for one in from.ranges() {
        left.insert_range(one.start..one.end.min(range.start));
        left.insert_range(one.start.max(range.end)..one.end);
    }
    *from = left;
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHT: Weight = Weight { bytes: 10, is_qos0: false, arrived_ms: 0, dies_ms: u64::MAX };

    fn offsets(outputs: Range<u64>) -> Offsets {
        let mut offsets = Offsets::new("cloud");
        outputs.for_each(|number| assert_eq!(offsets.output(number, number / 10, WEIGHT), 0));
        offsets
    }

    #[test]
    fn a_segment_is_needed_until_all_before_its_end_is_done() {
        let mut offsets = offsets(1..30);
        assert_eq!(offsets.needed_segment(), Some(0));
        offsets.complete(2..20);
        assert_eq!(offsets.needed_segment(), Some(0), "number 1 is not done");
        offsets.complete(1..2);
        assert_eq!((offsets.needed_segment(), offsets.oldest(), offsets.incomplete()), (Some(2), 20, 10));
        offsets.complete(20..30);
        assert_eq!((offsets.needed_segment(), offsets.incomplete()), (None, 0));
        assert_eq!(offsets.output(30, 5, WEIGHT), 0);
        assert_eq!(offsets.needed_segment(), Some(5));
    }

    #[test]
    fn numbers_that_are_missing_are_lost_once_and_hold_up_nothing() {
        let mut offsets = offsets(1..5);
        assert_eq!(offsets.output(8, 1, WEIGHT), 3);
        offsets.complete(1..5);
        assert_eq!((offsets.oldest(), offsets.incomplete()), (8, 1));
        let mut done = Intervals::default();
        done.insert(10);
        assert_eq!(offsets.snapshot(12, &done), 2, "9 and 11 were not done");
    }

    #[test]
    fn what_came_before_a_damaged_beginning_is_not_called_lost() {
        let mut offsets = Offsets::unknown("cloud");
        assert_eq!(offsets.output(1000, 7, WEIGHT), 0);
        assert_eq!((offsets.oldest(), offsets.output(1002, 7, WEIGHT)), (1000, 1));
    }

    #[test]
    fn the_first_incomplete_numbers_are_counted_around_those_that_are_done() {
        let mut offsets = offsets(1..20);
        offsets.complete(1..3);
        offsets.complete(5..8);
        let after = [0, 1, 2, 3, 4, 100].map(|count| offsets.after_incomplete(count));
        assert_eq!(after, [3, 4, 5, 9, 10, 20]);
        let ranges: Vec<_> = offsets.incomplete_numbers().ranges().collect();
        assert_eq!(ranges, [3..5, 8..20]);
    }

    #[test]
    fn what_has_moved_is_found_behind_the_snapshot_that_expects_it_and_missed_when_it_is_not() {
        let mut offsets = Offsets::unknown("cloud");
        let mut done = Intervals::default();
        done.insert_range(0..3);
        done.insert(5);
        offsets.begin_at(8, &done);
        assert_eq!((offsets.incomplete(), offsets.needed_segment()), (0, None));
        [3, 4].into_iter().for_each(|number| offsets.moved(number, 9, WEIGHT));
        offsets.complete(6..7);
        assert_eq!((offsets.incomplete(), offsets.oldest(), offsets.needed_segment()), (2, 3, Some(9)));
        assert_eq!((offsets.finish(), offsets.finish()), (1, 0), "7 is nowhere");
        offsets.moved(5, 9, WEIGHT);
        assert_eq!(offsets.incomplete(), 2, "done is done");
    }
}
