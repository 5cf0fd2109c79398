//! Many filters, one question: which of them match this name?
//!
//! An edge is one level, or a chain of levels on which nothing branches and nothing ends: a filter of 200 levels that no other
//! shares takes one node, not two hundred. Edges that begin with a literal are found by hash, the one that begins with `+` has a place of its own, as have the
//! values of filters that end in `#`. So a match costs the depth of the name times the wildcards on its way, whatever the number of filters.

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
    /// By their first level.
    literal: HashMap<Box<str>, Box<Edge<T>>>,
    single: Option<Box<Edge<T>>>,
    /// Values of filters that end here.
    here: Vec<T>,
    /// Values of filters that end in `#` below this node; they match this level too (section 4.7.1.2).
    below: Vec<T>,
}

#[derive(Clone, Debug)]
struct Edge<T> {
    /// The levels after the first, with `+` among them; usually none.
    more: Option<Box<str>>,
    node: Node<T>,
}

/// The levels of a filter without `#` at its end, which is where its values stand.
type Levels<'a> = &'a [&'a str];

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
        let mut levels: Vec<&str> = filter.levels().collect();
        let is_below = levels.pop_if(|last| *last == "#").is_some();
        self.root.retain(&levels, is_below, keep)
    }

    /// The values of exactly this filter, to be changed in place.
    pub fn values_mut(&mut self, filter: &TopicFilter) -> &mut Vec<T> {
        let mut levels: Vec<&str> = filter.levels().collect();
        let is_below = levels.pop_if(|last| *last == "#").is_some();
        self.root.place(&levels).values(is_below)
    }

    /// Calls `found` for each value whose filter matches. A leading wildcard passes `$` topics by [MQTT-4.7.2-1].
    pub fn visit<'a>(&'a self, name: &TopicName, mut found: impl FnMut(&'a T)) {
        let mut levels = name.levels();
        if !name.is_reserved() {
            return self.root.visit(levels, &mut found);
        }
        if let Some(edge) = levels.next().and_then(|first| self.root.literal.get(first)) {
            edge.visit(levels, &mut found);
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
    fn values(&mut self, is_below: bool) -> &mut Vec<T> {
        if is_below { &mut self.below } else { &mut self.here }
    }

    /// Recursion is as deep as a name has levels: `topic::MAX_LEVELS` at most.
    fn visit<'a>(&'a self, mut levels: Split<'_, char>, found: &mut impl FnMut(&'a T)) {
        self.below.iter().for_each(&mut *found);
        let Some(first) = levels.next() else {
            return self.here.iter().for_each(found);
        };
        if let Some(edge) = self.literal.get(first) {
            edge.visit(levels.clone(), found);
        }
        if let Some(edge) = &self.single {
            edge.visit(levels, found);
        }
    }

    /// The node at the end of these levels, made where it is not there: by a new edge, or in the midst of one.
    fn place(&mut self, levels: Levels<'_>) -> &mut Self {
        let Some((first, rest)) = levels.split_first() else { return self };
        let edge = match *first {
            "+" => self.single.get_or_insert_with(|| Edge::to_new(rest)),
            literal => self.literal.entry(literal.into()).or_insert_with(|| Edge::to_new(rest)),
        };
        let in_common = edge.in_common_with(rest);
        edge.split(in_common);
        edge.node.place(rest.get(in_common..).unwrap_or_default())
    }

    fn retain(&mut self, levels: Levels<'_>, is_below: bool, keep: impl FnMut(&T) -> bool) -> usize {
        let Some((first, rest)) = levels.split_first() else { return shrink(self.values(is_below), keep) };
        let edge = if *first == "+" { self.single.as_mut() } else { self.literal.get_mut(*first) };
        let Some(edge) = edge else { return 0 };
        let in_common = edge.in_common_with(rest);
        if in_common < edge.levels().count() {
            return 0;
        }
        let gone = edge.node.retain(rest.get(in_common..).unwrap_or_default(), is_below, keep);
        edge.join();
        match edge.node.is_empty() {
            true if *first == "+" => self.single = None,
            true => drop(self.literal.remove(*first)),
            false => {}
        }
        gone
    }

    fn is_empty(&self) -> bool {
        self.literal.is_empty() && self.single.is_none() && self.here.is_empty() && self.below.is_empty()
    }

    /// The only way on, when nothing ends here.
    fn take_only_edge(&mut self) -> Option<(Box<str>, Box<Edge<T>>)> {
        let ends_nothing = self.here.is_empty() && self.below.is_empty();
        match (ends_nothing, self.literal.len(), &self.single) {
            (true, 1, None) => self.literal.drain().next(),
            (true, 0, Some(_)) => self.single.take().map(|edge| ("+".into(), edge)),
            _ => None,
        }
    }
}

// === impl Edge ===

impl<T> Edge<T> {
    fn to_new(more: Levels<'_>) -> Box<Self> {
        Box::new(Self { more: joined(more), node: Node::default() })
    }

    fn levels(&self) -> impl Iterator<Item = &str> {
        self.more.iter().flat_map(|more| more.split('/'))
    }

    fn in_common_with(&self, levels: Levels<'_>) -> usize {
        self.levels().zip(levels).take_while(|(own, level)| own == *level).count()
    }

    fn visit<'a>(&'a self, mut levels: Split<'_, char>, found: &mut impl FnMut(&'a T)) {
        for own in self.levels() {
            match levels.next() {
                Some(level) if own == "+" || own == level => {}
                _ => return,
            }
        }
        self.node.visit(levels, found);
    }

    /// So that a node stands behind this many of its levels.
    fn split(&mut self, after: usize) {
        let levels: Vec<&str> = self.levels().collect();
        let Some((first, rest)) = levels.get(after..).and_then(<[_]>::split_first) else { return };
        let (before, first, more) =
            (joined(levels.get(..after).unwrap_or_default()), Box::<str>::from(*first), joined(rest));
        let behind = Box::new(Self { more, node: std::mem::take(&mut self.node) });
        match &*first {
            "+" => self.node.single = Some(behind),
            _ => _ = self.node.literal.insert(first, behind),
        }
        self.more = before;
    }

    /// The opposite, when nothing needs that node any more: filters that come and go leave nothing behind.
    fn join(&mut self) {
        if let Some((first, behind)) = self.node.take_only_edge() {
            let levels: Vec<&str> = self.levels().chain([&*first]).chain(behind.levels()).collect();
            (self.more, self.node) = (joined(&levels), behind.node);
        }
    }
}

fn joined(levels: Levels<'_>) -> Option<Box<str>> {
    (!levels.is_empty()).then(|| levels.join("/").into())
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
        fn it_agrees_after_some_were_removed(filters in prop::collection::vec(filter(), 0..20), name in name(), gone in any::<u32>()) {
            let mut trie = Trie::default();
            for (index, filter) in filters.iter().enumerate() {
                trie.insert(filter, index);
            }
            let stays = |index: usize| gone & (1 << index) == 0;
            for (index, filter) in filters.iter().enumerate().filter(|(index, _)| !stays(*index)) {
                prop_assert_eq!(trie.retain(filter, |value| *value != index), 1);
            }
            let mut found: Vec<usize> = trie.matches(&name).into_iter().copied().collect();
            found.sort_unstable();
            let oracle: Vec<usize> = (0..filters.len()).filter(|i| stays(*i) && filters[*i].matches(&name)).collect();
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

    impl<T> Node<T> {
        fn nodes(&self) -> usize {
            let edges = self.literal.values().chain(&self.single);
            1 + edges.map(|edge| edge.node.nodes()).sum::<usize>()
        }
    }

    #[test]
    fn a_filter_of_many_levels_takes_one_node_and_what_came_and_went_takes_none() {
        let deep = |last: &str| TopicFilter::parse(&format!("{}{last}", "a/+/".repeat(95))).unwrap();
        let mut trie = Trie::default();
        trie.insert(&deep("x"), 0);
        assert_eq!(trie.root.nodes(), 2);
        trie.insert(&deep("y"), 1);
        assert_eq!(trie.root.nodes(), 4);
        for levels in 1..90 {
            trie.insert(&TopicFilter::parse(&"a/+/".repeat(levels)).unwrap(), 2);
        }
        for levels in 1..90 {
            assert_eq!(trie.retain(&TopicFilter::parse(&"a/+/".repeat(levels)).unwrap(), |_| false), 1);
        }
        assert_eq!(trie.root.nodes(), 4);
        assert_eq!(trie.matches(&TopicName::parse(&format!("{}y", "a/b/".repeat(95))).unwrap()), [&1]);
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
