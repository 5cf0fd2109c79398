//! What a plugin remembers in a binding, in memory. The disk follows it.
//!
//! ```text
//!  open ─▶ get, set, delete, keys (the guest, in one call) ─▶ close: kept, or undone ─▶ take_changes ─▶ the input's record
//! ```
//!
//! - **One store for each plugin in each binding**, because that is what one thread has at a time: a lane is a sequence, and its
//!   records reach the log in that order. Two bindings that used one store would need a lock over all that they do.
//! - **Memory runs ahead of the disk.** The next message sees what this one changed before it is safe. After a crash the state is
//!   that of the last record that was, and what came after it has no ack and comes again.
//! - **A call that fails changes nothing.** Changes are made in place, and what they replaced is kept until the call has ended: a
//!   copy of a few entries, where an overlay would be asked before each look.
//! - **A call is bounded, not its result alone.** Keys that are set and deleted again leave nothing, and still have to be taken back if
//!   the call fails: new ones cost as much of the quota as if they stayed.
//! - Outside of a call there is no state, so that `configure` depends on the configuration alone.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::limits::{MAX_STATE_KEY_BYTES, STATE_ENTRY_OVERHEAD};
use super::state_budget::{Overdrawn, StateBudget};
use crate::base::clock;
use crate::spool::{Change, Key};

/// A handle: the chain keeps the state, each instance of the plugin works on it. The default is that of a plugin without state.
#[derive(Clone, Debug, Default)]
pub struct StateStore(Option<Arc<Store>>);

#[derive(Debug)]
struct Store {
    binding: Arc<str>,
    plugin: Arc<str>,
    quota: usize,
    budget: StateBudget,
    /// Never contended: the thread that has the lane's turn uses it.
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    values: BTreeMap<Arc<str>, Bytes>,
    bytes: usize,
    /// What this call replaced.
    before: BTreeMap<Arc<str>, Option<Bytes>>,
    /// Cost of the keys that it made, whether they are still there or not.
    made: usize,
    is_open: bool,
    /// Of calls that succeeded.
    changes: Vec<Change>,
}

/// Why a value is not remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Full,
    BadKey,
}

/// The guest asked outside of a call for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("asked for its state in `configure`: there is none before the first message")]
pub struct Closed;

// === impl StateStore ===

impl StateStore {
    pub fn new(binding: &str, plugin: &str, quota: usize, budget: StateBudget) -> Self {
        let (binding, plugin, entries) = (binding.into(), plugin.into(), Mutex::default());
        Self(Some(Arc::new(Store { binding, plugin, quota, budget, entries })))
    }

    /// With a budget of its own.
    #[cfg(test)]
    pub fn alone(binding: &str, plugin: &str, limits: &crate::config::PluginLimits) -> Self {
        Self::new(binding, plugin, limits.state, StateBudget::new(limits, clock::now()))
    }

    #[cfg(test)]
    pub fn of(binding: &str, plugin: &str, quota: usize) -> Self {
        Self::alone(binding, plugin, &crate::config::PluginLimits { state: quota, ..Default::default() })
    }

    /// Whether both are handles of one.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Whether there is anything to remember.
    pub fn is_stateful(&self) -> bool {
        self.0.is_some()
    }

    /// Takes back an entry that an earlier process left. One beyond the quota is kept: it can be read and shrunk.
    pub fn restore(&self, key: &Arc<str>, value: &Bytes) {
        if let Some(store) = &self.0 {
            store.entries().put(key.clone(), Some(value.clone()));
        }
    }

    /// A call begins.
    pub fn open(&self) {
        if let Some(store) = &self.0 {
            let mut entries = store.entries();
            entries.undo();
            entries.is_open = true;
        }
    }

    /// It ended: what it changed is kept, or was never. Nothing is kept of more than its budget has left.
    pub fn close(&self, keep: bool) -> Result<(), Overdrawn> {
        let Some(store) = &self.0 else { return Ok(()) };
        let mut entries = store.entries();
        entries.is_open = false;
        let paid = if keep { entries.pay(&store.budget) } else { Ok(()) };
        if keep && paid.is_ok() {
            entries.keep(&store.binding, &store.plugin)
        } else {
            entries.undo()
        }
        paid
    }

    /// What calls have changed since the last look, in order.
    pub fn take_changes(&self) -> Vec<Change> {
        self.0.as_ref().map(|store| std::mem::take(&mut store.entries().changes)).unwrap_or_default()
    }

    pub fn get(&self, key: &str) -> Result<Option<Bytes>, Closed> {
        Ok(self.during_call()?.1.values.get(key).cloned())
    }

    pub fn set(&self, key: &str, value: Vec<u8>) -> Result<Result<(), Refusal>, Closed> {
        let (quota, mut entries) = self.during_call()?;
        if key.is_empty() || key.len() > MAX_STATE_KEY_BYTES {
            return Ok(Err(Refusal::BadKey));
        }
        let old = entries.values.get(key).map_or(0, |old| cost(key, old));
        let new = cost(key, &value);
        // What shrinks is always let through: a quota may have been lowered.
        let is_new = !entries.values.contains_key(key) && !entries.before.contains_key(key);
        let made = entries.made + if is_new { cost(key, &[]) } else { 0 };
        if (new > old && entries.bytes - old + new > quota) || made > quota {
            return Ok(Err(Refusal::Full));
        }
        entries.made = made;
        entries.change(key, Some(value.into()));
        Ok(Ok(()))
    }

    pub fn delete(&self, key: &str) -> Result<(), Closed> {
        let (_, mut entries) = self.during_call()?;
        if entries.values.contains_key(key) {
            entries.change(key, None);
        }
        Ok(())
    }

    pub fn keys(&self, prefix: &str) -> Result<Vec<String>, Closed> {
        let (_, entries) = self.during_call()?;
        let from = entries.values.range::<str, _>((Bound::Included(prefix), Bound::Unbounded));
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, _)| key.to_string()).collect())
    }

    pub(super) fn belongs_to(&self, binding: &str, plugin: &str) -> bool {
        self.0.as_ref().is_some_and(|store| (&*store.binding, &*store.plugin) == (binding, plugin))
    }

    /// Bytes.
    pub fn quota(&self) -> usize {
        self.0.as_ref().map_or(0, |store| store.quota)
    }

    fn during_call(&self) -> Result<(usize, MutexGuard<'_, Entries>), Closed> {
        let store = self.0.as_ref().ok_or(Closed)?;
        let entries = store.entries();
        if entries.is_open { Ok((store.quota, entries)) } else { Err(Closed) }
    }
}

// === impl Store ===

impl Store {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Whatever panicked ends the process.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Entries ===

impl Entries {
    fn change(&mut self, key: &str, value: Option<Bytes>) {
        let key = Arc::<str>::from(key);
        let before = self.put(key.clone(), value);
        self.before.entry(key).or_insert(before);
    }

    fn put(&mut self, key: Arc<str>, value: Option<Bytes>) -> Option<Bytes> {
        self.bytes += value.as_ref().map_or(0, |value| cost(&key, value));
        let name = key.clone();
        let before = match value {
            Some(value) => self.values.insert(key, value),
            None => self.values.remove(&key),
        };
        self.bytes -= before.as_ref().map_or(0, |before| cost(&name, before));
        before
    }

    /// For what goes to the disk. As usual a call changes something small, or nothing.
    fn pay(&self, budget: &StateBudget) -> Result<(), Overdrawn> {
        let weight = |(key, before): (&Arc<str>, &Option<Bytes>)| match self.values.get(key) {
            value if value == before.as_ref() => 0,
            value => key.len() + value.map_or(0, Bytes::len),
        };
        match self.before.iter().map(weight).sum() {
            0 => Ok(()),
            bytes => budget.take(bytes, clock::now()),
        }
    }

    fn undo(&mut self) {
        self.made = 0;
        for (key, value) in std::mem::take(&mut self.before) {
            self.put(key, value);
        }
    }

    /// One change for each key that is not what it was, however often it was set.
    fn keep(&mut self, binding: &Arc<str>, plugin: &Arc<str>) {
        self.made = 0;
        for (key, before) in std::mem::take(&mut self.before) {
            let value = self.values.get(&key).cloned();
            if value != before {
                let key = Key::State { binding: binding.clone(), plugin: plugin.clone(), key };
                self.changes.push(Change { key, value: value.map(Into::into) });
            }
        }
    }
}

pub(super) fn cost(key: &str, value: &[u8]) -> usize {
    STATE_ENTRY_OVERHEAD + key.len() + value.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn store(quota: usize) -> StateStore {
        StateStore::of("b", "p", quota)
    }

    fn during<R>(store: &StateStore, keep: bool, call: impl FnOnce(&StateStore) -> R) -> R {
        store.open();
        let result = call(store);
        store.close(keep).unwrap();
        result
    }

    fn set(store: &StateStore, key: &str, value: &str) -> Result<(), Refusal> {
        store.set(key, value.into()).unwrap()
    }

    fn change(key: &str, value: Option<&'static str>) -> Change {
        let key = Key::State { binding: "b".into(), plugin: "p".into(), key: key.into() };
        Change { key, value: value.map(Into::into) }
    }

    #[test]
    fn a_call_that_fails_leaves_no_trace() {
        let store = store(1_000);
        during(&store, true, |store| set(store, "a", "1")).unwrap();
        assert_eq!(store.take_changes(), [change("a", Some("1"))]);
        during(&store, false, |store| {
            set(store, "a", "2").unwrap();
            set(store, "a", "3").unwrap();
            set(store, "b", "1").unwrap();
            store.delete("a").unwrap();
        });
        assert_eq!(store.take_changes(), []);
        let seen = during(&store, true, |store| (store.keys("").unwrap(), store.get("a").unwrap()));
        assert_eq!(seen, (vec!["a".to_owned()], Some("1".into())));
    }

    #[test]
    fn a_key_is_one_change_however_often_it_was_set_and_none_when_it_is_what_it_was() {
        let store = store(1_000);
        during(&store, true, |store| set(store, "a", "1")).unwrap();
        store.take_changes();
        during(&store, true, |store| {
            (2..9).for_each(|n| set(store, "b", &n.to_string()).unwrap());
            set(store, "a", "2").unwrap();
            set(store, "a", "1").unwrap();
        });
        assert_eq!(store.take_changes(), [change("b", Some("8"))]);
        during(&store, true, |store| store.delete("b")).unwrap();
        assert_eq!(store.take_changes(), [change("b", None)]);
    }

    #[test]
    fn beyond_the_quota_nothing_grows_and_everything_can_shrink() {
        let store = store(2 * (STATE_ENTRY_OVERHEAD + 10));
        during(&store, true, |store| {
            assert_eq!(set(store, "a", "123456789"), Ok(()));
            assert_eq!(set(store, "b", "123456789"), Ok(()));
            assert_eq!(set(store, "a", "1234567890"), Err(Refusal::Full));
            assert_eq!(set(store, "c", ""), Err(Refusal::Full));
            assert_eq!(set(store, "b", "1234567"), Ok(()));
            assert_eq!(set(store, "a", "12345678901"), Ok(()));
        });
        store.restore(&"huge".into(), &vec![0; 1_000].into());
        during(&store, true, |store| assert_eq!(set(store, "huge", "small again"), Ok(())));
    }

    #[test]
    fn a_key_that_is_empty_or_too_long_is_refused() {
        let (store, long) = (store(1 << 20), "x".repeat(MAX_STATE_KEY_BYTES));
        during(&store, true, |store| {
            assert_eq!(set(store, &long, ""), Ok(()));
            assert_eq!(set(store, &format!("{long}x"), ""), Err(Refusal::BadKey));
            assert_eq!(set(store, "", ""), Err(Refusal::BadKey));
        });
    }

    #[test]
    fn keys_that_are_set_and_deleted_in_one_call_are_bounded_like_those_that_stay() {
        let (store, key) = (store(100_000), |number: u32| format!("{number:0>1000}"));
        let made = |store: &StateStore| {
            let set_and_delete = |number: &u32| {
                let set = set(store, &key(*number), "x").is_ok();
                store.delete(&key(*number)).unwrap();
                set
            };
            (0..40_000).filter(set_and_delete).count()
        };
        for _ in 0..2 {
            assert!((80..100).contains(&during(&store, true, made)), "each call has its own");
        }
        assert_eq!(store.take_changes(), []);
        // All of it may be replaced in one call, by as much under other names.
        during(&store, true, |store| (0..80).for_each(|number| set(store, &key(number), "x").unwrap()));
        during(&store, true, |store| {
            (0..80).for_each(|number| store.delete(&key(number)).unwrap());
            (80..160).for_each(|number| set(store, &key(number), "x").unwrap());
        });
    }

    #[test]
    fn what_the_budget_does_not_cover_was_never() {
        let limits = crate::config::PluginLimits { state: 4_000, state_per_second: 1, ..Default::default() };
        let store = StateStore::alone("b", "p", &limits);
        during(&store, true, |store| set(store, "a", &"1".repeat(3_000))).unwrap();
        store.open();
        set(&store, "a", &"2".repeat(3_000)).unwrap();
        assert!(store.close(true).is_err());
        let first = during(&store, true, |store| store.get("a").unwrap().unwrap().first().copied());
        assert_eq!((first, store.take_changes().len()), (Some(b'1'), 1));
    }

    #[test]
    fn there_is_no_state_outside_of_a_call() {
        let store = store(1_000);
        assert_eq!(store.get("a"), Err(Closed));
        during(&store, true, |store| set(store, "a", "1")).unwrap();
        assert_eq!(store.set("a", vec![]), Err(Closed));
    }

    #[test]
    fn keys_are_those_with_the_prefix_in_order() {
        let store = store(10_000);
        during(&store, true, |store| {
            ["b", "a/2", "a/1", "a", "a0"].iter().for_each(|key| set(store, key, "").unwrap());
            assert_eq!(store.keys("a/").unwrap(), ["a/1", "a/2"]);
            assert_eq!(store.keys("").unwrap(), ["a", "a/1", "a/2", "a0", "b"]);
        });
    }

    /// A key, its new value or none, and whether this is the end of a call that failed or succeeded.
    type Step = (u8, Option<Vec<u8>>, Option<bool>);

    proptest! {
        #[test]
        fn changes_make_of_what_was_what_is(
            steps in prop::collection::vec(any::<Step>(), 0..60),
        ) {
            let store = store(2_000);
            let mut log = BTreeMap::new();
            store.open();
            for (key, value, end) in steps {
                let key = format!("k{}", key % 8);
                match value {
                    Some(value) => drop(store.set(&key, value).unwrap()),
                    None => store.delete(&key).unwrap(),
                }
                if let Some(keep) = end {
                    store.close(keep).unwrap();
                    for Change { key, value } in store.take_changes() {
                        match value {
                            Some(value) => drop(log.insert(key, value)),
                            None => drop(log.remove(&key)),
                        }
                    }
                    store.open();
                }
            }
            store.close(false).unwrap();
            let entries = store.0.as_ref().unwrap().entries();
            let kept: Vec<_> = entries.values.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
            let logged = log.into_iter().map(|(key, value)| match key {
                Key::State { key, .. } => (key, value.bytes().clone()),
                other => panic!("{other:?}"),
            });
            prop_assert_eq!(&kept, &logged.collect::<Vec<_>>());
            prop_assert_eq!(entries.bytes, kept.iter().map(|(key, value)| cost(key, value)).sum::<usize>());
            prop_assert!(entries.bytes <= 2_000);
        }
    }
}
