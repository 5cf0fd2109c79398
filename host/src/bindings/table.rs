//! The bindings as they run: a table that is made at the start and never changes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::cache::MatchCache;
use super::places::Places;
use crate::chain::Lane;
use crate::config::{self, BindingId};
use crate::topic::{TopicName, Trie};

pub struct Table {
    bindings: Vec<Binding>,
    trie: Trie<BindingId>,
    cache: MatchCache,
}

pub struct Binding {
    pub spec: config::Binding,
    /// `None` when the binding has no plugins: its output is its input and needs no thread.
    pub lane: Option<Lane>,
    places: Places,
    /// One tick at a time.
    ticking: Arc<Semaphore>,
    /// Plugin to the digest of its component, for those who ask later which one it was.
    digests: Vec<(String, String)>,
}

impl Table {
    pub fn new(bindings: Vec<Binding>) -> Self {
        let mut trie = Trie::default();
        for (index, binding) in bindings.iter().enumerate() {
            for filter in &binding.spec.filters {
                trie.insert(filter, BindingId(index));
            }
        }
        Self { bindings, trie, cache: MatchCache::default() }
    }

    /// The bindings that match, in file order, each once however many of its filters match.
    pub fn matching(&self, topic: &TopicName) -> Arc<[BindingId]> {
        self.cache.get_or_insert(topic, || {
            let mut found: Vec<BindingId> = self.trie.matches(topic).into_iter().copied().collect();
            found.sort_unstable();
            found.dedup();
            found.into()
        })
    }

    pub fn get(&self, id: BindingId) -> Option<&Binding> {
        id.of(&self.bindings)
    }

    pub fn find(&self, name: &str) -> Option<BindingId> {
        self.bindings.iter().position(|binding| *binding.spec.name == *name).map(BindingId)
    }

    pub fn iter(&self) -> impl Iterator<Item = (BindingId, &Binding)> {
        self.bindings.iter().enumerate().map(|(index, binding)| (BindingId(index), binding))
    }
}

impl Binding {
    pub fn new(spec: config::Binding, lane: Option<Lane>) -> Self {
        let places = Places::new(&spec, lane.as_ref());
        Self { spec, lane, places, ticking: Arc::new(Semaphore::new(1)), digests: Vec::new() }
    }

    pub fn with_digests(self, digests: Vec<(String, String)>) -> Self {
        Self { digests, ..self }
    }

    pub fn digest_of(&self, plugin: &str) -> &str {
        self.digests.iter().find(|(name, _)| name == plugin).map_or("", |(_, digest)| digest)
    }

    pub fn places(&self) -> &Places {
        &self.places
    }

    /// For a tick, until the spool has admitted what it made.
    pub(super) fn tick_place(&self) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.ticking.clone().try_acquire_owned()
    }
}
