//! Lines that are asked together: the first of them that names the topic, and says something of what is asked, decides.

use std::sync::Arc;

use super::decision::{Action, Place};
use super::identity::Names;
use super::pattern::Pattern;
use crate::topic::{TopicName, Trie};

/// A line: which topics, and what may be done there.
#[derive(Clone, Debug)]
pub struct Entry {
    pub pattern: Pattern,
    pub grant: Grant,
    pub place: Place,
    /// As it is shown to people.
    pub text: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    Publish,
    Subscribe,
    Both,
    Deny,
}

/// In their order. Shared by all clients that they are for.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    entries: Vec<Entry>,
    publish: Trie<usize>,
    subscribe: Trie<usize>,
}

// === impl Grant ===

impl Grant {
    pub fn allows(self, action: Action) -> bool {
        match self {
            Self::Publish => action == Action::Publish,
            Self::Subscribe => action == Action::Subscribe,
            Self::Both => true,
            Self::Deny => false,
        }
    }

    /// Whether it says something about this.
    pub(super) fn is_about(self, action: Action) -> bool {
        self == Self::Deny || self.allows(action)
    }
}

// === impl Layer ===

impl Layer {
    pub fn new(entries: Vec<Entry>) -> Self {
        let (mut publish, mut subscribe) = (Trie::default(), Trie::default());
        for (index, entry) in entries.iter().enumerate() {
            for (action, trie) in [(Action::Publish, &mut publish), (Action::Subscribe, &mut subscribe)] {
                if entry.grant.is_about(action) {
                    trie.insert(entry.pattern.filter(), index);
                }
            }
        }
        Self { entries, publish, subscribe }
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether it says the same, wherever its lines stand.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let words = |entry: &Entry| (entry.grant, entry.text.clone());
        self.entries.iter().map(words).eq(other.entries.iter().map(words))
    }

    /// The first line that decides.
    pub(super) fn find(&self, action: Action, topic: &TopicName, names: &Names) -> Option<usize> {
        let trie = match action {
            Action::Publish => &self.publish,
            Action::Subscribe => &self.subscribe,
        };
        let mut first = None;
        trie.visit(topic, |index| {
            let is_earlier = first.is_none_or(|first| *index < first);
            if is_earlier && self.entries.get(*index).is_some_and(|entry| entry.pattern.is_filled(topic, names)) {
                first = Some(*index);
            }
        });
        first
    }
}
