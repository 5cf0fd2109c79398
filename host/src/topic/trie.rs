//! Many filters, one question: which of them match this name?
//!
//! A node is a level. Literal children are found by hash, `+` and `#` have places of their own, so that a match costs
//! the depth of the name times the wildcards on its way, whatever the number of filters.

use std::collections::HashMap;
use std::str::Split;

use super::{TopicFilter, TopicName};

/// Values filed under topic filters. One filter may hold several values; they come out in the order they went in.
#[derive(Clone, Debug)]
pub struct Trie<T> {
    root: Node<T>,
}

#[derive(Clone, Debug)]
struct Node<T> {
    literal: HashMap<Box<str>, Node<T>>,
    single: Option<Box<Node<T>>>,
    /// Values of filters that end here.
    here: Vec<T>,
    /// Values of filters that end in `#` below this node; they match this level too (section 4.7.1.2).
    below: Vec<T>,
}

// === impl Trie ===

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { root: Node::default() }
    }
}

impl<T> Trie<T> {
    pub fn insert(&mut self, filter: &TopicFilter, value: T) {
        self.values_mut(filter).push(value);
    }

    /// Keeps only the values of this filter that `keep` accepts, and drops what is left empty. Says how many went.
    pub fn retain(&mut self, filter: &TopicFilter, keep: impl FnMut(&T) -> bool) -> usize {
        let levels: Vec<&str> = filter.levels().collect();
        self.root.retain(&levels, keep)
    }

    /// The values of exactly this filter, to be changed in place.
    pub fn values_mut(&mut self, filter: &TopicFilter) -> &mut Vec<T> {
        let mut node = &mut self.root;
        for level in filter.levels() {
            node = match level {
                "#" => return &mut node.below,
                "+" => node.single.get_or_insert_default(),
                literal => node.literal.entry(literal.into()).or_default(),
            };
        }
        &mut node.here
    }

    /// Calls `found` for each value whose filter matches. A leading wildcard passes `$` topics by [MQTT-4.7.2-1].
    pub fn visit<'a>(&'a self, name: &TopicName, mut found: impl FnMut(&'a T)) {
        let mut levels = name.levels();
        if !name.is_reserved() {
            return self.root.visit(levels, &mut found);
        }
        if let Some(node) = levels.next().and_then(|first| self.root.literal.get(first)) {
            node.visit(levels, &mut found);
        }
    }

    /// What `visit` finds, in no particular order.
    pub fn matches(&self, name: &TopicName) -> Vec<&T> {
        let mut found = Vec::new();
        self.visit(name, |value| found.push(value));
        found
    }
}

// === impl Node ===

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { literal: HashMap::new(), single: None, here: Vec::new(), below: Vec::new() }
    }
}

impl<T> Node<T> {
    /// Recursion is as deep as a name has levels: `topic::MAX_LEVELS` at most.
    fn visit<'a>(&'a self, mut levels: Split<'_, char>, found: &mut impl FnMut(&'a T)) {
        self.below.iter().for_each(&mut *found);
        let Some(first) = levels.next() else {
            return self.here.iter().for_each(found);
        };
        if let Some(node) = self.literal.get(first) {
            node.visit(levels.clone(), found);
        }
        if let Some(node) = &self.single {
            node.visit(levels, found);
        }
    }

    fn retain(&mut self, levels: &[&str], keep: impl FnMut(&T) -> bool) -> usize {
        let Some((first, rest)) = levels.split_first() else { return shrink(&mut self.here, keep) };
        match *first {
            "#" => shrink(&mut self.below, keep),
            "+" => {
                let Some(node) = &mut self.single else { return 0 };
                let gone = node.retain(rest, keep);
                if node.is_empty() {
                    self.single = None;
                }
                gone
            }
            literal => {
                let Some(node) = self.literal.get_mut(literal) else { return 0 };
                let gone = node.retain(rest, keep);
                if node.is_empty() {
                    self.literal.remove(literal);
                }
                gone
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.literal.is_empty() && self.single.is_none() && self.here.is_empty() && self.below.is_empty()
    }
}

fn shrink<T>(values: &mut Vec<T>, keep: impl FnMut(&T) -> bool) -> usize {
    let before = values.len();
    values.retain(keep);
    before - values.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few letters, so that filters and names meet often; `$` and the empty level are among them.
    fn level() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["a", "b", "", "$s", "é"])
    }

    fn name() -> impl Strategy<Value = TopicName> {
        prop::collection::vec(level(), 1..5)
            .prop_map(|levels| levels.join("/"))
            .prop_filter_map("empty", |text| TopicName::parse(&text).ok())
    }

    fn filter() -> impl Strategy<Value = TopicFilter> {
        let level = prop_oneof![3 => level().boxed(), 1 => Just("+").boxed()];
        (prop::collection::vec(level, 0..5), any::<bool>()).prop_filter_map("empty", |(mut levels, rest)| {
            if rest {
                levels.push("#");
            }
            TopicFilter::parse(&levels.join("/")).ok()
        })
    }

    proptest! {
        #[test]
        fn the_trie_agrees_with_matching_one_by_one(filters in prop::collection::vec(filter(), 0..20), name in name()) {
            let mut trie = Trie::default();
            for (index, filter) in filters.iter().enumerate() {
                trie.insert(filter, index);
            }
            let mut found: Vec<usize> = trie.matches(&name).into_iter().copied().collect();
            found.sort_unstable();
            let oracle: Vec<usize> = (0..filters.len()).filter(|i| filters[*i].matches(&name)).collect();
            prop_assert_eq!(found, oracle);
        }

        #[test]
        fn what_was_removed_is_gone_and_leaves_no_empty_node(filters in prop::collection::vec(filter(), 0..20)) {
            let mut trie = Trie::default();
            for (index, filter) in filters.iter().enumerate() {
                trie.insert(filter, index);
            }
            for (index, filter) in filters.iter().enumerate() {
                prop_assert_eq!(trie.retain(filter, |value| *value != index), 1);
            }
            prop_assert!(trie.root.is_empty());
        }
    }

    #[test]
    fn removing_an_unknown_filter_changes_nothing() {
        let mut trie = Trie::default();
        trie.insert(&TopicFilter::parse("a/+/b").unwrap(), 1);
        for other in ["a", "a/+", "a/+/c", "x/#", "+/+/b"] {
            assert_eq!(trie.retain(&TopicFilter::parse(other).unwrap(), |_| false), 0, "{other}");
        }
        assert_eq!(trie.matches(&TopicName::parse("a/x/b").unwrap()), [&1]);
    }
}
