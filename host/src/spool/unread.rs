//! What each binding has among the messages of one upstream that are in the log alone: by stretches of numbers, because a name for each
//! message would be as much memory as many of the messages.
//!
//! What is read back leaves under its name. What ends unread has none, and takes a part of everybody with it, so that a stretch is right
//! again when it is over. A recovery counts as it reads; from then on the queue does.

use std::collections::BTreeMap;
use std::ops::Range;

use super::intervals::Intervals;
use crate::base::name::Name;

type Binding = Option<Name>;

/// By the first number of each stretch; it ends where the next begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Unread(BTreeMap<u64, Stretch>);

/// The messages of one segment.
#[derive(Clone, Debug, Default)]
struct Stretch {
    segment: u64,
    /// Messages that were counted here and not read back, and how many of them have ended since.
    count: u64,
    ended: u64,
    of: Vec<(Binding, Part)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    count: u64,
    bytes: u64,
}

// === impl Unread ===

impl Unread {
    /// A message that is in this segment.
    pub fn add(&mut self, number: u64, segment: u64, binding: &Binding, bytes: u64) {
        let before = self.0.range_mut(..=number).next_back().map(|(_, stretch)| stretch);
        match before.filter(|stretch| stretch.segment == segment) {
            Some(stretch) => stretch.add(binding, bytes),
            None => {
                let mut stretch = Stretch { segment, ..Stretch::default() };
                stretch.add(binding, bytes);
                self.0.insert(number, stretch);
            }
        }
    }

    /// It is in memory now.
    pub fn read(&mut self, number: u64, binding: &Binding) {
        if let Some((_, stretch)) = self.0.range_mut(..=number).next_back() {
            stretch.read(binding);
        }
    }

    /// These have ended unread, but for those that had ended before.
    pub fn end(&mut self, range: Range<u64>, done: &Intervals) {
        let first = self.0.range(..=range.start).next_back().map_or(range.start, |(start, _)| *start);
        let starts: Vec<u64> = self.0.range(first..range.end.max(first)).map(|(start, _)| *start).collect();
        for (index, start) in starts.iter().enumerate() {
            let part = range.start.max(*start)..starts.get(index + 1).copied().unwrap_or(range.end).min(range.end);
            if let Some(stretch) = self.0.get_mut(start).filter(|_| !part.is_empty()) {
                let ended = part.end - part.start - done.count_in(part);
                stretch.ended = stretch.ended.saturating_add(ended).min(stretch.count);
            }
        }
    }

    /// Nothing below is unread any more.
    pub fn prune(&mut self, below: u64) {
        while self.0.keys().nth(1).is_some_and(|second| *second <= below) {
            self.0.pop_first();
        }
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn of(&self, binding: &Binding) -> u64 {
        self.0.values().map(|stretch| stretch.of(binding)).sum()
    }

    /// Each as often as it is met.
    pub fn names(&self) -> impl Iterator<Item = &Binding> {
        self.0.values().flat_map(|stretch| stretch.of.iter().map(|(name, _)| name))
    }

    /// The numbers of the first stretch of which this binding has nearly all, or else half. `next` is the one after all of them.
    pub fn mostly_of(&self, binding: &Binding, next: u64) -> Option<Range<u64>> {
        let first = |others: u64| self.0.iter().find(|(_, stretch)| stretch.is_of(binding, others));
        let (start, _) = first(16).or_else(|| first(2))?;
        Some(*start..self.0.range(start + 1..).next().map_or(next, |(second, _)| *second))
    }
}

// === impl Stretch ===

impl Stretch {
    fn add(&mut self, binding: &Binding, bytes: u64) {
        let known = self.of.iter_mut().find(|(name, _)| name == binding);
        match known {
            Some((_, part)) => part.add(bytes),
            None => self.of.push((*binding, Part { count: 1, bytes })),
        }
        self.count += 1;
    }

    fn read(&mut self, binding: &Binding) {
        let part = self.of.iter_mut().find(|(name, part)| name == binding && part.count > 0);
        if let Some((_, part)) = part {
            part.take_one();
            self.count -= 1;
            self.ended = self.ended.min(self.count);
        }
    }

    fn of(&self, binding: &Binding) -> u64 {
        self.of.iter().find(|(name, _)| name == binding).map_or(0, |(_, part)| self.left_of(part.bytes))
    }

    /// But for one in so many bytes.
    fn is_of(&self, binding: &Binding, others: u64) -> bool {
        let all: u64 = self.of.iter().map(|(_, part)| self.left_of(part.bytes)).sum();
        all > 0 && all.saturating_sub(self.of(binding)) <= all / others
    }

    fn left_of(&self, bytes: u64) -> u64 {
        let left = u128::from(self.count - self.ended);
        u64::try_from(u128::from(bytes) * left / u128::from(self.count.max(1))).unwrap_or(bytes)
    }
}

// === impl Part ===

impl Part {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }

    /// Of average size.
    fn take_one(&mut self) {
        self.bytes -= self.bytes / self.count.max(1);
        self.count = self.count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Binding {
        Some(text.into())
    }

    /// Two segments: a hundred of the one and then a hundred of the other; then of both by turns.
    fn filled() -> Unread {
        let mut unread = Unread::default();
        (1..=100).for_each(|number| unread.add(number, 1, &name("a"), 10));
        (101..=200).for_each(|number| unread.add(number, 1, &name("b"), 20));
        (201..=300).for_each(|number| unread.add(number, 2, &name(if number % 2 == 0 { "a" } else { "b" }), 10));
        unread
    }

    #[test]
    fn what_is_read_leaves_under_its_name() {
        let mut unread = filled();
        assert_eq!((unread.of(&name("a")), unread.of(&name("b")), unread.of(&None)), (1_500, 2_500, 0));
        (1..=100).for_each(|number| unread.read(number, &name("a")));
        assert_eq!((unread.of(&name("a")), unread.of(&name("b"))), (500, 2_500));
        unread.prune(201);
        assert_eq!((unread.of(&name("a")), unread.of(&name("b"))), (500, 500));
    }

    #[test]
    fn what_ends_unread_takes_a_part_of_everybody() {
        let (mut unread, mut done) = (filled(), Intervals::default());
        unread.end(50..251, &done);
        done.insert_range(50..251);
        assert_eq!((unread.of(&name("a")), unread.of(&name("b"))), (245 + 250, 490 + 250));
        unread.end(1..301, &done);
        assert_eq!((unread.of(&name("a")), unread.of(&name("b"))), (0, 0));
    }

    #[test]
    fn the_first_stretch_that_is_mostly_of_one_is_found() {
        let unread = filled();
        assert_eq!(unread.mostly_of(&name("b"), 301), Some(1..201));
        assert_eq!(unread.mostly_of(&name("a"), 301), Some(201..301));
        assert_eq!(unread.mostly_of(&None, 301), None);
        assert_eq!(unread.names().count(), 4);
    }
}
