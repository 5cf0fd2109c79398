//! From the spool back to the plugins, before the first message.
//!
//! State of a plugin or a binding that the configuration does not have is kept: it may be a name that was mistyped, and comes back
//! with it. Only when all state together would be more than a spool should carry is it dropped, so that renaming cannot fill it
//! for ever. Both are said in the log.

use super::state_store::{StateStore, cost};
use crate::spool::{Change, Key, Value};

/// State that belongs to nobody in this configuration.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    pub keys: Vec<Key>,
    pub bytes: usize,
    /// `binding/plugin`, each once, in order.
    pub owners: Vec<String>,
}

/// Gives each store its entries.
pub fn restore(stores: &[StateStore], entries: &[(Key, Value)]) -> Orphans {
    let mut orphans = Orphans::default();
    for (entry, value) in entries {
        let Key::State { binding, plugin, key } = entry else { continue };
        match stores.iter().find(|store| store.belongs_to(binding, plugin)) {
            Some(store) => store.restore(key, value.bytes()),
            None => orphans.add(entry, cost(key, value), format!("{binding}/{plugin}")),
        }
    }
    orphans
}

// === impl Orphans ===

impl Orphans {
    /// Says what becomes of them, and how: empty when they stay. `limit` is for all state together.
    pub fn settle(&self, stores: &[StateStore], limit: usize) -> Vec<Change> {
        if self.keys.is_empty() {
            return Vec::new();
        }
        let owners = self.owners.join("`, `");
        let configured: usize = stores.iter().map(StateStore::quota).sum();
        if configured.saturating_add(self.bytes) <= limit {
            tracing::warn!(
                bytes = self.bytes,
                "state of `{owners}` is kept, though the configuration has no such plugin there"
            );
            return Vec::new();
        }
        tracing::warn!(
            bytes = self.bytes,
            "state of `{owners}` is dropped: the configuration has no such plugin there, and no room for it"
        );
        self.keys.iter().cloned().map(Change::delete).collect()
    }

    pub fn has(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    fn add(&mut self, key: &Key, bytes: usize, owner: String) {
        self.keys.push(key.clone());
        self.bytes += bytes;
        // The entries are in the order of their owners.
        if self.owners.last() != Some(&owner) {
            self.owners.push(owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(binding: &str, key: &str) -> (Key, Value) {
        (Key::State { binding: binding.into(), plugin: "p".into(), key: key.into() }, "v".into())
    }

    #[test]
    fn each_store_finds_its_own_and_the_rest_are_orphans() {
        let stores = ["a", "b"].map(|binding| StateStore::of(binding, "p", 1_000));
        let session = (Key::Session { client: "a".into() }, Value::default());
        let orphans = restore(&stores, &[session, entry("a", "1"), entry("b", "2"), entry("c", "3"), entry("c", "4")]);
        assert_eq!((orphans.owners.clone(), orphans.keys.len()), (vec!["c/p".to_owned()], 2));
        stores[1].open();
        assert_eq!(stores[1].keys("").unwrap(), ["2"]);
        stores[1].close(true).unwrap();
        assert_eq!(stores[1].take_changes(), [], "what was restored is on disk already");

        assert_eq!(orphans.settle(&stores, 1 << 20), []);
        let dropped = orphans.settle(&stores, 2_000);
        assert_eq!(dropped, [entry("c", "3"), entry("c", "4")].map(|(key, _)| Change::delete(key)));
    }
}
