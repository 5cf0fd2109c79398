//! One upstream as the log knows it: which numbers were given, which are done, and where the others are.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::intervals::Intervals;

/// The first number that an upstream gives. Zero is "before everything".
pub(super) const FIRST: u64 = 1;

#[derive(Clone, Debug)]
pub(super) struct Track {
    pub name: Arc<str>,
    /// The number of the next output.
    next: u64,
    /// Completed, or lost with a damaged frame. Everything below the oldest incomplete number is one range from 0.
    done: Intervals,
    /// Which segment begins with which number. Numbers rise through the log, so that this is a cut for each segment.
    starts: VecDeque<(u64, u64)>,
    /// False for an upstream that was met before any snapshot told of it: what it had before cannot be known.
    known: bool,
}

// === impl Track ===

impl Track {
    /// An upstream that is met for the first time, by somebody who has read everything.
    pub fn new(name: &str) -> Self {
        Self { known: true, ..Self::unknown(name) }
    }

    /// One that is met in the middle of a damaged log.
    pub fn unknown(name: &str) -> Self {
        let mut done = Intervals::default();
        done.insert_range(0..FIRST);
        Self { name: name.into(), next: FIRST, done, starts: VecDeque::new(), known: false }
    }

    pub fn next(&self) -> u64 {
        self.next
    }

    pub fn done(&self) -> &Intervals {
        &self.done
    }

    /// The oldest number that is not done; [`Track::next`] when there is none.
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
    pub fn output(&mut self, number: u64, segment: u64) -> u64 {
        if number < self.next {
            return 0;
        }
        let lost = self.skip_to(number);
        if self.starts.back().is_none_or(|(last, _)| *last < segment) {
            self.starts.push_back((segment, number));
        }
        self.next = number.saturating_add(1);
        self.prune();
        lost
    }

    /// What a snapshot says of this upstream. Returns how many outputs before it are missing.
    pub fn snapshot(&mut self, next: u64, done: &Intervals) -> u64 {
        self.done.extend(done);
        let lost = if next > self.next { self.skip_to(next) } else { 0 };
        self.next = self.next.max(next);
        self.known = true;
        lost
    }

    pub fn complete(&mut self, range: Range<u64>) {
        self.done.insert_range(range);
        self.prune();
    }

    /// Forgets the segments whose outputs are all done.
    fn prune(&mut self) {
        let oldest = self.oldest();
        while self.starts.get(1).is_some_and(|(_, first)| *first <= oldest) {
            self.starts.pop_front();
        }
    }

    /// The oldest segment that holds an incomplete output.
    pub fn needed_segment(&self) -> Option<u64> {
        if self.oldest() >= self.next {
            return None;
        }
        self.starts.front().map(|(segment, _)| *segment)
    }

    /// Nobody can deliver the numbers from `next` on up to `number`: they are done, and counted when they were not.
    fn skip_to(&mut self, number: u64) -> u64 {
        let missing = self.next..number;
        let lost = if self.known { number - self.next - self.done.count_in(missing.clone()) } else { 0 };
        self.known = true;
        self.complete(missing);
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(outputs: Range<u64>) -> Track {
        let mut track = Track::new("cloud");
        outputs.for_each(|number| assert_eq!(track.output(number, number / 10), 0));
        track
    }

    #[test]
    fn a_segment_is_needed_until_all_before_its_end_is_done() {
        let mut track = track(1..30);
        assert_eq!(track.needed_segment(), Some(0));
        track.complete(2..20);
        assert_eq!(track.needed_segment(), Some(0), "number 1 is not done");
        track.complete(1..2);
        assert_eq!((track.needed_segment(), track.oldest(), track.incomplete()), (Some(2), 20, 10));
        track.complete(20..30);
        assert_eq!((track.needed_segment(), track.incomplete()), (None, 0));
        assert_eq!(track.output(30, 5), 0);
        assert_eq!(track.needed_segment(), Some(5));
    }

    #[test]
    fn numbers_that_are_missing_are_lost_once_and_hold_up_nothing() {
        let mut track = track(1..5);
        assert_eq!(track.output(8, 1), 3);
        track.complete(1..5);
        assert_eq!((track.oldest(), track.incomplete()), (8, 1));
        let mut done = Intervals::default();
        done.insert(10);
        assert_eq!(track.snapshot(12, &done), 2, "9 and 11 were not done");
    }

    #[test]
    fn what_came_before_a_damaged_beginning_is_not_called_lost() {
        let mut track = Track::unknown("cloud");
        assert_eq!(track.output(1000, 7), 0);
        assert_eq!((track.oldest(), track.output(1002, 7)), (1000, 1));
    }

    #[test]
    fn the_first_incomplete_numbers_are_counted_around_those_that_are_done() {
        let mut track = track(1..20);
        track.complete(1..3);
        track.complete(5..8);
        let after = [0, 1, 2, 3, 4, 100].map(|count| track.after_incomplete(count));
        assert_eq!(after, [3, 4, 5, 9, 10, 20]);
        let ranges: Vec<_> = track.incomplete_numbers().ranges().collect();
        assert_eq!(ranges, [3..5, 8..20]);
    }
}
