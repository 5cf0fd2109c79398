//! A bounded memory of what matched: devices publish to the same few topics again and again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::table::Bindings;
use crate::topic::TopicName;

/// Topics of one generation; two generations are kept. 20 filters cost 170 ns through the trie and 30 ns from here, for
/// about 200 bytes a topic: a million bytes in all.
const GENERATION: usize = 2_048;

/// Longer ones are looked up each time, so that a generation has 2 MiB of topics at most; and what one costs to look up is little
/// beside receiving it.
const LONGEST: usize = 1_024;

/// Two generations instead of a list of recent use: a topic that is asked for moves to the young one, the old one is dropped
/// whole. A flood of topics that are never seen again costs one map each 2,048 of them, and no bookkeeping on a hit.
#[derive(Debug, Default)]
pub(super) struct MatchCache {
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<TopicName, Bindings>,
    old: HashMap<TopicName, Bindings>,
}

impl MatchCache {
    pub(super) fn get_or_insert(&self, topic: &TopicName, find: impl FnOnce() -> Bindings) -> Bindings {
        if topic.as_str().len() > LONGEST {
            return find();
        }
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = generations.young.get(topic) {
            return found.clone();
        }
        let found = generations.old.remove(topic).unwrap_or_else(find);
        if generations.young.len() >= GENERATION {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(topic.clone(), found.clone());
        found
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::config::BindingId;

    fn topic(index: usize) -> TopicName {
        TopicName::parse(&format!("t/{index}")).unwrap()
    }

    #[test]
    fn a_topic_in_use_survives_a_flood_and_the_flood_is_bounded() {
        let cache = MatchCache::default();
        let mut searches = 0;
        for index in 0..10 * GENERATION {
            cache.get_or_insert(&topic(index + 1), Bindings::new);
            cache.get_or_insert(&topic(0), || {
                searches += 1;
                smallvec![BindingId(7)]
            });
        }
        assert_eq!(searches, 1);
        let generations = cache.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
    }

    #[test]
    fn a_long_topic_is_looked_up_each_time_and_kept_by_nobody() {
        let (cache, mut searches) = (MatchCache::default(), 0);
        let long = TopicName::parse(&"x".repeat(LONGEST + 1)).unwrap();
        for _ in 0..3 {
            cache.get_or_insert(&long, || {
                searches += 1;
                Bindings::new()
            });
        }
        assert_eq!((searches, cache.generations.lock().unwrap().young.len()), (3, 0));
    }
}
