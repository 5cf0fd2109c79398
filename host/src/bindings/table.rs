//! The bindings as they run: a table that is made at the start and never changes.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::MAX_HOPS;
use super::cache::MatchCache;
use super::places::Places;
use crate::chain::Lane;
use crate::config::{self, BindingId, OrderOf, UpstreamId};
use crate::metrics::{BindingMetrics, Counters};
use crate::plugin::Digest;
use crate::topic::{TopicName, Trie};

/// Those that one message meets, in file order. Usually one: kept where they are used, because a share of a list that all have would be counted by
/// each thread that has a message in its hands.
pub type Bindings = SmallVec<[BindingId; 2]>;

pub struct Table {
    bindings: Vec<Binding>,
    /// Of what devices publish, and this gateway itself.
    devices: Matches,
    /// Of what an upstream sends, for the bindings that are `from` it.
    upstreams: HashMap<UpstreamId, Matches>,
    /// Those that keep all messages of a client in order.
    by_client: Vec<BindingId>,
}

/// Which filters match, among those of one source.
#[derive(Default)]
struct Matches {
    trie: Trie<BindingId>,
    cache: MatchCache,
}

pub struct Binding {
    pub spec: config::Binding,
    /// `None` when the binding has no plugins: its output is its input and needs no thread.
    pub lane: Option<Lane>,
    /// Those that are shown, once the binding is in a table that counts.
    pub metrics: Arc<BindingMetrics>,
    places: Places,
    /// For messages that were republished, by hop; made when the first one comes.
    further: [OnceLock<Places>; MAX_HOPS as usize],
    /// One tick at a time.
    ticking: Arc<Semaphore>,
    /// Plugin to the digest of its component, for those who ask later which one it was. It may be loaded late.
    digests: Vec<(String, Digest)>,
}

impl Table {
    pub fn new(bindings: Vec<Binding>) -> Self {
        let (mut devices, mut upstreams) = (Matches::default(), HashMap::<UpstreamId, Matches>::new());
        for (index, binding) in bindings.iter().enumerate() {
            let matches = binding.spec.from.map_or(&mut devices, |id| upstreams.entry(id).or_default());
            binding.spec.filters.iter().for_each(|filter| matches.trie.insert(filter, BindingId(index)));
        }
        let by_client = bindings.iter().enumerate().filter(|(_, binding)| binding.spec.order == OrderOf::Client);
        let by_client = by_client.map(|(index, _)| BindingId(index)).collect();
        Self { bindings, devices, upstreams, by_client }
    }

    /// Hands each binding its metrics.
    pub fn counted(mut self, counters: &Counters) -> Self {
        self.bindings.iter_mut().for_each(|binding| binding.metrics = counters.bindings.of(&binding.spec.name));
        self
    }

    /// The bindings that match what a device or this gateway publishes, in file order, each once however many of its filters match.
    pub fn matching(&self, topic: &TopicName) -> Bindings {
        self.devices.find(topic)
    }

    /// The same of what an upstream sends.
    pub fn matching_from(&self, upstream: UpstreamId, topic: &TopicName) -> Bindings {
        self.upstreams.get(&upstream).map_or_else(Bindings::new, |matches| matches.find(topic))
    }

    pub fn get(&self, id: BindingId) -> Option<&Binding> {
        id.of(&self.bindings)
    }

    /// The bindings that keep all messages of a client in order, when one of these does.
    pub fn by_client(&self, bindings: &[BindingId]) -> &[BindingId] {
        let is_one = || bindings.iter().any(|id| self.by_client.contains(id));
        if self.by_client.is_empty() || !is_one() { &[] } else { &self.by_client }
    }

    pub fn find(&self, name: &str) -> Option<BindingId> {
        self.bindings.iter().position(|binding| *binding.spec.name == *name).map(BindingId)
    }

    pub fn iter(&self) -> impl Iterator<Item = (BindingId, &Binding)> {
        self.bindings.iter().enumerate().map(|(index, binding)| (BindingId(index), binding))
    }
}

impl Matches {
    fn find(&self, topic: &TopicName) -> Bindings {
        self.cache.get_or_insert(topic, || {
            let mut found: Bindings = self.trie.matches(topic).into_iter().copied().collect();
            found.sort_unstable();
            found.dedup();
            found
        })
    }
}

impl Binding {
    pub fn new(spec: config::Binding, lane: Option<Lane>) -> Self {
        let places = Places::new(&spec, lane.as_ref());
        Self {
            metrics: Arc::default(),
            spec,
            lane,
            places,
            further: Default::default(),
            ticking: Arc::new(Semaphore::new(1)),
            digests: Vec::new(),
        }
    }

    pub fn with_digests(self, digests: Vec<(String, Digest)>) -> Self {
        Self { digests, ..self }
    }

    pub fn digest_of(&self, plugin: &str) -> &str {
        let digest = self.digests.iter().find(|(name, _)| name == plugin).and_then(|(_, digest)| digest.get());
        digest.map_or("", String::as_str)
    }

    /// For messages that have been republished so often.
    pub fn places(&self, hops: u8) -> &Places {
        let further = usize::from(hops.min(MAX_HOPS)).checked_sub(1).and_then(|hop| self.further.get(hop));
        further.map_or(&self.places, |places| places.get_or_init(|| Places::new(&self.spec, self.lane.as_ref())))
    }

    /// For a tick, until the spool has admitted what it made.
    pub(super) fn tick_place(&self) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.ticking.clone().try_acquire_owned()
    }
}
