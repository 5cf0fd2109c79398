//! The bindings as they run: a table that never changes. A reload puts another one in its place ([`Table::followed_by`]).
//!
//! **A binding keeps its id over reloads**, by its name: messages that are under way have it in their hands, and so have orders and records. One
//! that is no more keeps its place as well, out of sight of new messages, so that what it has begun comes to its end.

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
    /// By their ids.
    bindings: Vec<Arc<Binding>>,
    /// Their places in the file, by their ids; none for those that are no more.
    ranks: Vec<Option<usize>>,
    /// In file order.
    used: Vec<BindingId>,
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
    /// The chain of the lane that this is for.
    generation: u32,
    /// As it was for some chains before: what they made goes where it was to go.
    earlier: Vec<(u32, config::Binding)>,
}

/// Chains of a lane whose messages may still be under way, behind reloads that follow each other more quickly than messages pass.
const EARLIER: usize = 4;

impl Table {
    pub fn new(bindings: Vec<Binding>) -> Self {
        let used = (0..bindings.len()).map(BindingId).collect();
        Self::of(bindings.into_iter().map(Arc::new).collect(), used)
    }

    /// With these in the place of those that it has. In file order; one that stays as it is, is the same one.
    pub fn followed_by(&self, wanted: Vec<Arc<Binding>>) -> Self {
        let (mut bindings, mut used) = (self.bindings.clone(), Vec::new());
        for binding in wanted {
            let place = bindings.iter().position(|known| known.spec.name == binding.spec.name);
            let place = place.unwrap_or(bindings.len());
            match bindings.get_mut(place) {
                Some(known) => *known = binding,
                None => bindings.push(binding),
            }
            used.push(BindingId(place));
        }
        Self::of(bindings, used)
    }

    fn of(bindings: Vec<Arc<Binding>>, used: Vec<BindingId>) -> Self {
        let (mut devices, mut upstreams) = (Matches::default(), HashMap::<UpstreamId, Matches>::new());
        let (mut by_client, mut ranks) = (Vec::new(), vec![None; bindings.len()]);
        for (rank, id) in used.iter().enumerate() {
            let Some((binding, place)) = id.of(&bindings).zip(id.of_mut(&mut ranks)) else { continue };
            *place = Some(rank);
            let matches = binding.spec.from.map_or(&mut devices, |id| upstreams.entry(id).or_default());
            binding.spec.filters.iter().for_each(|filter| matches.trie.insert(filter, *id));
            by_client.extend((binding.spec.order == OrderOf::Client).then_some(*id));
        }
        Self { bindings, ranks, used, devices, upstreams, by_client }
    }

    /// Hands each binding its metrics.
    pub fn counted(mut self, counters: &Counters) -> Self {
        for binding in self.bindings.iter_mut().filter_map(Arc::get_mut) {
            binding.metrics = counters.bindings.of(&binding.spec.name);
        }
        self
    }

    /// The bindings that match what a device or this gateway publishes, in file order, each once however many of its filters match.
    pub fn matching(&self, topic: &TopicName) -> Bindings {
        self.devices.find(topic, &self.ranks)
    }

    /// The same of what an upstream sends.
    pub fn matching_from(&self, upstream: UpstreamId, topic: &TopicName) -> Bindings {
        self.upstreams.get(&upstream).map_or_else(Bindings::new, |matches| matches.find(topic, &self.ranks))
    }

    /// Also of those that are no more.
    pub fn get(&self, id: BindingId) -> Option<&Binding> {
        id.of(&self.bindings).map(|binding| &**binding)
    }

    /// For who keeps it over a reload.
    pub fn share(&self, name: &str) -> Option<Arc<Binding>> {
        self.find(name).and_then(|id| id.of(&self.bindings)).cloned()
    }

    /// One of before, which is no more.
    pub fn share_of_before(&self, name: &str) -> Option<Arc<Binding>> {
        self.bindings.iter().find(|binding| *binding.spec.name == *name).cloned()
    }

    pub fn is_used(&self, id: BindingId) -> bool {
        self.rank(id).is_some()
    }

    fn rank(&self, id: BindingId) -> Option<usize> {
        id.of(&self.ranks).copied().flatten()
    }

    /// The bindings that keep all messages of a client in order, when one of these does.
    pub fn by_client(&self, bindings: &[BindingId]) -> &[BindingId] {
        let is_one = || bindings.iter().any(|id| self.by_client.contains(id));
        if self.by_client.is_empty() || !is_one() { &[] } else { &self.by_client }
    }

    pub fn find(&self, name: &str) -> Option<BindingId> {
        let is_it = |id: &BindingId| self.get(*id).is_some_and(|binding| *binding.spec.name == *name);
        self.used.iter().copied().find(is_it)
    }

    pub fn iter(&self) -> impl Iterator<Item = (BindingId, &Binding)> {
        self.used.iter().filter_map(|id| Some((*id, self.get(*id)?)))
    }
}

impl Matches {
    /// `ranks`: the places in the file, by id.
    fn find(&self, topic: &TopicName, ranks: &[Option<usize>]) -> Bindings {
        self.cache.get_or_insert(topic, || {
            let mut found: Bindings = self.trie.matches(topic).into_iter().copied().collect();
            found.sort_unstable_by_key(|id| id.of(ranks).copied().flatten());
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
            generation: 0,
            earlier: Vec::new(),
        }
    }

    /// The same binding as another configuration has it, with the same lane: its inputs go on waiting where they do.
    pub fn changed(&self, spec: config::Binding) -> Self {
        let places = self.places.of_changed(&spec);
        Self {
            metrics: self.metrics.clone(),
            spec,
            lane: self.lane.clone(),
            places,
            further: Default::default(),
            ticking: self.ticking.clone(),
            digests: self.digests.clone(),
            generation: self.generation,
            earlier: self.earlier.clone(),
        }
    }

    /// The same with another chain, which its lane gets with this number.
    pub fn with_next_chain(&self, spec: config::Binding, digests: Vec<(String, Digest)>) -> (Self, u32) {
        let generation = self.generation.wrapping_add(1);
        let mut earlier = vec![(self.generation, self.spec.clone())];
        earlier.extend(self.earlier.iter().take(EARLIER - 1).cloned());
        (Self { digests, generation, earlier, ..self.changed(spec) }, generation)
    }

    /// What holds for what this chain of its lane has made.
    pub fn spec_of(&self, generation: u32) -> &config::Binding {
        if generation == self.generation {
            return &self.spec;
        }
        let before = self.earlier.iter().find(|(number, _)| *number == generation);
        before.map_or(&self.spec, |(_, spec)| spec)
    }

    pub fn with_digests(self, digests: Vec<(String, Digest)>) -> Self {
        Self { digests, ..self }
    }

    /// Those that are shown under its name.
    pub fn with_metrics(self, metrics: Arc<BindingMetrics>) -> Self {
        Self { metrics, ..self }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{FaultPolicy, OnError};
    use crate::topic::TopicFilter;

    fn binding(name: &str, filter: &str) -> config::Binding {
        config::Binding {
            name: name.into(),
            filters: vec![TopicFilter::parse(filter).unwrap()],
            plugins: vec![],
            from: None,
            tick: None,
            on_error: OnError::Drop,
            faults: FaultPolicy::default(),
            order: Default::default(),
            on_start_failure: Default::default(),
            to: vec![],
        }
    }

    fn shared(name: &str, filter: &str) -> Arc<Binding> {
        Arc::new(Binding::new(binding(name, filter), None))
    }

    fn names(table: &Table, topic: &str) -> Vec<String> {
        let found = table.matching(&TopicName::parse(topic).unwrap());
        found.iter().filter_map(|id| Some(table.get(*id)?.spec.name.to_string())).collect()
    }

    #[test]
    fn a_binding_keeps_its_id_and_those_of_one_message_are_in_the_order_of_the_file() {
        let first = Table::new(vec![Binding::new(binding("a", "t"), None), Binding::new(binding("b", "t"), None)]);
        let (a, b) = (first.find("a").unwrap(), first.find("b").unwrap());
        let next = first.followed_by(vec![shared("c", "#"), first.share("b").unwrap(), shared("a", "t")]);
        assert_eq!((next.find("a"), next.find("b")), (Some(a), Some(b)));
        assert_eq!(
            (names(&first, "t"), names(&next, "t")),
            (vec!["a".into(), "b".into()], vec!["c".into(), "b".into(), "a".into()])
        );
    }

    #[test]
    fn one_that_is_no_more_is_met_by_nobody_and_still_there_for_what_it_has_begun() {
        let first = Table::new(vec![Binding::new(binding("a", "t"), None), Binding::new(binding("b", "t"), None)]);
        let (a, next) = (first.find("a").unwrap(), first.followed_by(vec![first.share("b").unwrap()]));
        assert_eq!((names(&next, "t"), next.find("a"), next.is_used(a)), (vec!["b".into()], None, false));
        assert_eq!(&*next.get(a).unwrap().spec.name, "a");
        // It comes back, and has no second id.
        let again = next.followed_by(vec![shared("a", "other"), next.share("b").unwrap()]);
        assert_eq!(
            (again.find("a"), names(&again, "t"), names(&again, "other")),
            (Some(a), vec!["b".into()], vec!["a".into()])
        );
    }

    #[test]
    fn what_a_chain_has_made_goes_where_that_chain_was_configured_to_send_it() {
        let mut one = Binding::new(binding("a", "0"), None);
        for number in 1..=6 {
            (one, _) = one.with_next_chain(binding("a", &number.to_string()), Vec::new());
        }
        let filter = |generation: u32| one.spec_of(generation).filters[0].to_string();
        assert_eq!([6, 5, 4, 3, 2].map(filter), ["6", "5", "4", "3", "2"]);
        assert_eq!(filter(0), "6", "long ago: as it is now");
        assert_eq!(one.changed(binding("a", "x")).spec_of(6).filters[0].to_string(), "x", "the same chain");
    }
}
