//! QoS 0 of one upstream, in memory: when there is too much, the oldest of the binding that has most goes.
//!
//! A binding that brings more than all others together loses its own messages and not theirs. While all that is here is of one binding,
//! as usual, that is the oldest of all, and nobody looks. Otherwise it is counted who has how many, and then so many of the largest
//! go before it is counted again: a flood pays for some steps with each message, not for the whole ring.
//!
//! What goes from the midst leaves an empty slot, so that nothing is moved for it.

use std::collections::VecDeque;

use crate::base::name::Name;

use super::{Entry, Position};

/// Bytes at most, whatever the count.
const MAX_BYTES: usize = 16 << 20;

/// Of the messages that are here, one part in so many goes at most before it is counted anew who has most.
const COUNT_AGAIN: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Qos0Ring {
    /// By rising position; neither the first nor the last is empty.
    slots: VecDeque<Slot>,
    messages: usize,
    bytes: usize,
    /// The last one of another binding than the one before it.
    last_change: u64,
    victim: Option<Victim>,
}

#[derive(Debug)]
struct Slot {
    position: Position,
    entry: Option<Entry>,
}

/// Whose messages go next.
#[derive(Debug)]
struct Victim {
    binding: Option<Name>,
    left: usize,
    /// The sequence below which it has none.
    from: u64,
}

/// What one binding has.
struct Tally<'a> {
    binding: &'a Option<Name>,
    messages: usize,
    bytes: usize,
}

// === impl Qos0Ring ===

impl Qos0Ring {
    /// Says how many had to go for it. The bytes leave the newest alone: one large message is not a reason to keep none.
    pub fn push(&mut self, entry: Entry, max_messages: usize) -> usize {
        let before = self.slots.back().and_then(|slot| slot.entry.as_ref());
        if before.is_none_or(|before| before.binding != entry.binding) {
            self.last_change = entry.position.sequence;
        }
        self.messages += 1;
        self.bytes += entry.message.weight();
        self.slots.push_back(Slot { position: entry.position, entry: Some(entry) });
        let mut dropped = 0;
        while self.messages > max_messages || (self.bytes > MAX_BYTES && self.messages > 1) {
            let Some(index) = self.next_to_go(self.messages > max_messages) else { break };
            if self.take(index).is_none() {
                break;
            }
            dropped += 1;
        }
        dropped
    }

    pub fn after(&self, after: Position) -> impl Iterator<Item = &Entry> {
        let start = self.slots.partition_point(|slot| slot.position <= after);
        self.slots.range(start..).filter_map(|slot| slot.entry.as_ref())
    }

    pub fn after_sequence(&self, after: u64) -> impl Iterator<Item = &Entry> {
        let start = self.slots.partition_point(|slot| slot.position.sequence <= after);
        self.slots.range(start..).filter_map(|slot| slot.entry.as_ref())
    }

    pub fn has_after(&self, sequence: u64) -> bool {
        self.slots.back().is_some_and(|slot| slot.position.sequence > sequence)
    }

    /// Takes one out. `false` when it is not here (any more).
    pub fn complete(&mut self, position: Position) -> bool {
        // As usual the oldest.
        let index = match self.slots.front() {
            Some(first) if first.position == position => Ok(0),
            _ => self.slots.binary_search_by_key(&position, |slot| slot.position),
        };
        index.ok().and_then(|index| self.take(index)).is_some()
    }

    pub fn contains(&self, position: Position) -> bool {
        let index = self.slots.binary_search_by_key(&position, |slot| slot.position);
        index.ok().and_then(|index| self.slots.get(index)).is_some_and(|slot| slot.entry.is_some())
    }

    pub fn len(&self) -> usize {
        self.messages
    }

    pub fn weight(&self) -> usize {
        self.bytes
    }

    fn take(&mut self, index: usize) -> Option<Entry> {
        let entry = self.slots.get_mut(index)?.entry.take()?;
        self.messages -= 1;
        self.bytes -= entry.message.weight();
        while self.slots.front().is_some_and(|slot| slot.entry.is_none()) {
            self.slots.pop_front();
        }
        while self.slots.back().is_some_and(|slot| slot.entry.is_none()) {
            self.slots.pop_back();
        }
        if self.slots.len() > 2 * self.messages + COUNT_AGAIN {
            self.slots.retain(|slot| slot.entry.is_some());
        }
        Some(entry)
    }

    /// Never the newest.
    fn next_to_go(&mut self, by_messages: bool) -> Option<usize> {
        let first = self.slots.front()?.position.sequence;
        if first >= self.last_change {
            return Some(0);
        }
        let victim = self.victim.take().filter(|victim| victim.left > 0);
        let mut victim = victim.or_else(|| self.largest(by_messages))?;
        let start = self.slots.partition_point(|slot| slot.position.sequence < victim.from);
        let is_its = |slot: &Slot| slot.entry.as_ref().is_some_and(|entry| entry.binding == victim.binding);
        let newest = self.slots.len() - 1;
        let found = self.slots.range(start.min(newest)..newest).position(is_its).map(|index| start + index);
        if let Some(slot) = found.and_then(|index| self.slots.get(index)) {
            victim.from = slot.position.sequence + 1;
            victim.left -= 1;
            self.victim = Some(victim);
        }
        Some(found.unwrap_or(0))
    }

    fn largest(&self, by_messages: bool) -> Option<Victim> {
        let mut tallies: Vec<Tally<'_>> = Vec::new();
        for entry in self.slots.iter().filter_map(|slot| slot.entry.as_ref()) {
            let (binding, bytes) = (&entry.binding, entry.message.weight());
            match tallies.iter_mut().find(|tally| tally.binding == binding) {
                Some(tally) => (tally.messages, tally.bytes) = (tally.messages + 1, tally.bytes + bytes),
                None => tallies.push(Tally { binding, messages: 1, bytes }),
            }
        }
        let size = |tally: &&Tally<'_>| if by_messages { tally.messages } else { tally.bytes };
        let largest = tallies.iter().max_by_key(size)?;
        Some(Victim { binding: *largest.binding, left: (self.messages / COUNT_AGAIN).max(1), from: 0 })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::message::{Message, QoS};
    use crate::topic::TopicName;

    #[derive(Default)]
    struct Bench {
        ring: Qos0Ring,
        next: u64,
    }

    impl Bench {
        fn push(&mut self, binding: &str, bytes: usize, max: usize) -> usize {
            self.next += 1;
            let message = Message::new(TopicName::parse("t").unwrap(), vec![0; bytes], QoS::AtMostOnce);
            let position = Position { number: 0, sequence: self.next };
            let entry = Entry { position, binding: Some(binding.into()), message, arrived: Instant::now() };
            self.ring.push(entry, max)
        }

        fn of(&self, binding: &str) -> usize {
            self.ring.after(Position::START).filter(|entry| entry.binding.as_deref() == Some(binding)).count()
        }

        fn sequences(&self) -> Vec<u64> {
            self.ring.after_sequence(0).map(|entry| entry.position.sequence).collect()
        }
    }

    #[test]
    fn a_flood_of_one_binding_takes_its_own_messages_and_not_those_of_others() {
        let mut bench = Bench::default();
        let mut dropped = 0;
        for round in 0..100_000 {
            dropped += bench.push("flood", 10, 1_000);
            if round % 1_000 == 0 {
                dropped += bench.push("honest", 10, 1_000);
            }
        }
        assert_eq!((bench.of("honest"), bench.ring.len()), (100, 1_000));
        assert_eq!(dropped as u64 + 1_000, bench.next);
        assert!(bench.ring.slots.len() < 3_000, "empty slots are bounded");
    }

    #[test]
    fn of_bytes_too_the_largest_goes() {
        let mut bench = Bench::default();
        bench.push("honest", 10, 10_000);
        assert!((0..40).map(|_| bench.push("flood", 1 << 20, 10_000)).sum::<usize>() > 20);
        assert_eq!(bench.of("honest"), 1);
        assert!(bench.ring.weight() <= MAX_BYTES && bench.of("flood") > 10);
        // The newest stays, and one that is larger than all is alone with it.
        bench.push("honest", 2 * MAX_BYTES, 10_000);
        assert_eq!(bench.sequences(), [42]);
    }

    #[test]
    fn of_one_binding_the_oldest_go_and_what_is_left_is_completed_in_any_order() {
        let mut bench = Bench::default();
        assert_eq!((0..6).map(|_| bench.push("b", 1, 4)).sum::<usize>(), 2);
        assert_eq!(bench.sequences(), [3, 4, 5, 6]);
        let at = |sequence| Position { number: 0, sequence };
        assert!(bench.ring.complete(at(4)) && !bench.ring.complete(at(4)) && !bench.ring.complete(at(2)));
        assert!(bench.ring.complete(at(6)) && bench.ring.has_after(4) && !bench.ring.has_after(5));
        assert_eq!((bench.sequences(), bench.ring.len()), (vec![3, 5], 2));
    }
}
