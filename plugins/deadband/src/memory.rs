//! Remembers something about each topic, of a bounded number of topics and bytes.
//!
//! Two generations: what is used moves into the young one; when that is full it becomes the old one, and what the old one
//! still held is forgotten. So the topics that have been quiet longest go first, each step costs the same, and no list of
//! ages is kept. Between half and all of the bound is remembered. A `BTreeMap`, for a hash map would want random numbers
//! of the host.
//!
//! Bytes are bounded as well: a topic may have 65,535 of them, and ten thousand such would be more than the plugin's memory.
//! Its end would be that of what all other devices are remembered by.

use std::collections::BTreeMap;

/// What an entry costs beside its topic: the value, and its share of a tree and of the allocator.
const ENTRY_OVERHEAD: usize = 128;

#[derive(Debug)]
pub struct Memory<T> {
    /// Topics and bytes of one generation.
    half: (usize, usize),
    young: Generation<T>,
    old: Generation<T>,
}

#[derive(Debug)]
struct Generation<T> {
    topics: BTreeMap<String, T>,
    bytes: usize,
}

// === impl Memory ===

impl<T: Copy> Memory<T> {
    /// Of at most this many topics, which must be two at least, with at most so many bytes, which hold two of the longest.
    pub fn of(topics: usize, bytes: usize) -> Self {
        Self { half: (topics / 2, bytes / 2), ..Self::default() }
    }

    /// What is remembered of a topic, which is now one of the young.
    pub fn get(&mut self, topic: &str) -> Option<T> {
        if let Some(value) = self.young.topics.get(topic) {
            return Some(*value);
        }
        let value = self.old.remove(topic)?;
        self.put(topic, value);
        Some(value)
    }

    pub fn put(&mut self, topic: &str, value: T) {
        if let Some(known) = self.young.topics.get_mut(topic) {
            *known = value;
            return;
        }
        let (topics, bytes) = self.half;
        if self.young.topics.len() >= topics || self.young.bytes + cost(topic) > bytes {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.bytes += cost(topic);
        self.young.topics.insert(topic.to_owned(), value);
    }

    pub fn forget(&mut self, topic: &str) {
        self.young.remove(topic);
        self.old.remove(topic);
    }
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self { half: (1, usize::MAX), young: Generation::default(), old: Generation::default() }
    }
}

// === impl Generation ===

impl<T> Generation<T> {
    fn remove(&mut self, topic: &str) -> Option<T> {
        let value = self.topics.remove(topic)?;
        self.bytes -= cost(topic);
        Some(value)
    }
}

impl<T> Default for Generation<T> {
    fn default() -> Self {
        Self { topics: BTreeMap::new(), bytes: 0 }
    }
}

fn cost(topic: &str) -> usize {
    ENTRY_OVERHEAD + topic.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLENTY: usize = 1 << 20;

    #[test]
    fn it_never_holds_more_than_its_bounds() {
        let mut memory = Memory::of(10, PLENTY);
        let mut narrow = Memory::of(1_000, 10 * cost("999"));
        for topic in 0..1_000 {
            for memory in [&mut memory, &mut narrow] {
                memory.put(&topic.to_string(), topic);
                memory.get(&(topic / 2).to_string());
                assert!(memory.young.topics.len() + memory.old.topics.len() <= 11);
                assert!(memory.young.bytes + memory.old.bytes <= 10 * cost("999"));
            }
        }
    }

    #[test]
    fn its_bytes_are_those_of_the_topics_that_it_holds() {
        let mut memory = Memory::of(6, PLENTY);
        for topic in 0..100 {
            memory.put(&topic.to_string(), topic);
            memory.get(&(topic / 2).to_string());
            memory.forget(&(topic / 3).to_string());
        }
        for generation in [&memory.young, &memory.old] {
            assert_eq!(generation.bytes, generation.topics.keys().map(|topic| cost(topic)).sum::<usize>());
        }
    }

    #[test]
    fn what_is_used_is_kept_while_others_come_and_go() {
        let mut memory = Memory::of(10, PLENTY);
        memory.put("busy", 0);
        for other in 0..1_000 {
            memory.put(&format!("other/{other}"), other);
            assert_eq!(memory.get("busy"), Some(0));
        }
    }

    #[test]
    fn the_newest_value_counts() {
        let mut memory = Memory::of(4, PLENTY);
        memory.put("a", 1);
        memory.put("a", 2);
        assert_eq!(memory.get("a"), Some(2));
        memory.forget("a");
        assert_eq!(memory.get("a"), None);
    }
}
