//! Remembers something about each topic, of a bounded number of topics.
//!
//! Two generations: what is used moves into the young one; when that is full it becomes the old one, and what the old one
//! still held is forgotten. So the topics that have been quiet longest go first, each step costs the same, and no list of
//! ages is kept. Between half and all of the bound is remembered. A `BTreeMap`, for a hash map would want random numbers
//! of the host.

use std::collections::BTreeMap;

#[derive(Debug)]
pub struct Memory<T> {
    /// Topics of one generation.
    half: usize,
    young: BTreeMap<String, T>,
    old: BTreeMap<String, T>,
}

// === impl Memory ===

impl<T: Copy> Memory<T> {
    /// Of at most this many topics, which must be two at least.
    pub fn of(topics: usize) -> Self {
        Self { half: topics / 2, ..Self::default() }
    }

    /// What is remembered of a topic, which is now one of the young.
    pub fn get(&mut self, topic: &str) -> Option<T> {
        if let Some(value) = self.young.get(topic) {
            return Some(*value);
        }
        let value = self.old.remove(topic)?;
        self.put(topic, value);
        Some(value)
    }

    pub fn put(&mut self, topic: &str, value: T) {
        if let Some(known) = self.young.get_mut(topic) {
            *known = value;
            return;
        }
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(topic.to_owned(), value);
    }
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self { half: 1, young: BTreeMap::new(), old: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_holds_more_than_its_bound() {
        let mut memory = Memory::of(10);
        for topic in 0..1_000 {
            memory.put(&topic.to_string(), topic);
            memory.get(&(topic / 2).to_string());
            assert!(memory.young.len() + memory.old.len() <= 10);
        }
    }

    #[test]
    fn what_is_used_is_kept_while_others_come_and_go() {
        let mut memory = Memory::of(10);
        memory.put("busy", 0);
        for other in 0..1_000 {
            memory.put(&format!("other/{other}"), other);
            assert_eq!(memory.get("busy"), Some(0));
        }
    }

    #[test]
    fn the_newest_value_counts() {
        let mut memory = Memory::of(4);
        memory.put("a", 1);
        memory.put("a", 2);
        assert_eq!(memory.get("a"), Some(2));
    }
}
