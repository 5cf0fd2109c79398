//! A set of numbers as the ranges that they form.
//!
//! Upstreams acknowledge nearly in order, so that millions of completed messages are one range and a few stragglers: memory
//! follows the disorder, not the count.

use std::collections::BTreeMap;
use std::ops::Range;

/// Disjoint ranges with gaps between them: first to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intervals(BTreeMap<u64, u64>);

// === impl Intervals ===

impl Intervals {
    pub fn insert(&mut self, number: u64) {
        self.insert_range(number..number.saturating_add(1));
    }

    pub fn insert_range(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let Range { mut start, mut end } = range;
        // Those that touch from the left or lie inside, from the last on.
        while let Some((&first, &last)) = self.0.range(..=end).next_back().filter(|(_, last)| **last >= start) {
            self.0.remove(&first);
            start = start.min(first);
            end = end.max(last);
        }
        self.0.insert(start, end);
    }

    pub fn extend(&mut self, other: &Self) {
        other.ranges().for_each(|range| self.insert_range(range));
    }

    pub fn contains(&self, number: u64) -> bool {
        self.first_missing(number) != number
    }

    /// The first number from this one on that is not in the set.
    pub fn first_missing(&self, number: u64) -> u64 {
        match self.0.range(..=number).next_back() {
            Some((_, &end)) if end > number => end,
            _ => number,
        }
    }

    /// How many numbers of `range` are in the set.
    pub fn count_in(&self, range: Range<u64>) -> u64 {
        let before = self.0.range(..=range.start).next_back();
        let inside = self.0.range(range.start.saturating_add(1)..range.end.max(range.start.saturating_add(1)));
        let cut = |(&start, &end): (&u64, &u64)| end.min(range.end).saturating_sub(start.max(range.start));
        before.into_iter().chain(inside).map(cut).sum()
    }

    pub fn remove(&mut self, number: u64) {
        self.remove_range(number..number.saturating_add(1));
    }

    pub fn remove_range(&mut self, range: Range<u64>) {
        let reaches = |end: u64| !range.is_empty() && end > range.start;
        while let Some((&start, &end)) = self.0.range(..range.end).next_back().filter(|(_, end)| reaches(**end)) {
            self.0.remove(&start);
            self.insert_range(start..range.start);
            self.insert_range(range.end..end);
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.ranges().map(|range| range.end - range.start).sum()
    }

    /// Forgets what is below.
    pub fn remove_below(&mut self, number: u64) {
        while let Some(first) = self.0.first_entry().filter(|first| *first.key() < number) {
            let (_, end) = first.remove_entry();
            if end > number {
                self.0.insert(number, end);
            }
        }
    }

    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<u64>> {
        self.0.iter().map(|(&start, &end)| start..end)
    }

    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.ranges().flatten()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_behave_like_a_set(ranges in prop::collection::vec((0..60_u64, 0..9_u64), 0..30), cut in 0..60_u64) {
            let (mut set, mut oracle) = (Intervals::default(), BTreeSet::new());
            for (start, length) in ranges {
                set.insert_range(start..start + length);
                oracle.extend(start..start + length);
            }
            prop_assert_eq!(set.numbers().collect::<Vec<_>>(), oracle.iter().copied().collect::<Vec<_>>());
            let ranges: Vec<_> = set.ranges().collect();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start), "neighbours are one range");
            for number in 0..70 {
                prop_assert_eq!(set.contains(number), oracle.contains(&number));
                let missing = (number..).find(|number| !oracle.contains(number));
                prop_assert_eq!(Some(set.first_missing(number)), missing);
            }
            prop_assert_eq!(set.count_in(cut..cut + 7), oracle.range(cut..cut + 7).count() as u64);
            set.remove(cut);
            oracle.remove(&cut);
            prop_assert_eq!(set.numbers().collect::<Vec<_>>(), oracle.iter().copied().collect::<Vec<_>>());
            set.remove_range(cut + 9..cut + 16);
            oracle.retain(|number| !(cut + 9..cut + 16).contains(number));
            prop_assert_eq!(set.numbers().collect::<Vec<_>>(), oracle.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.count(), oracle.len() as u64);
            set.remove_below(cut);
            prop_assert_eq!(set.numbers().collect::<Vec<_>>(), oracle.range(cut..).copied().collect::<Vec<_>>());
        }
    }
}
