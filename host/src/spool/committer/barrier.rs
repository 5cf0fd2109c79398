//! What waits for the share of an upstream, and what therefore has to wait behind it.
//!
//! The state at the end, and the order in which it comes about, are as if nobody had passed anybody:
//!
//! - **A binding is whole**, through all hops: messages of one client and topic meet the same bindings.
//! - **A key is whole.** The end of a session deletes what a held message is still about to put; were it written first, a
//!   restart would find the identity of a message that nobody knows, and take the next one with it for a repetition.
//! - **A client is whole** in what changes without a message: its session, and then its subscriptions.
//! - **A mailbox is whole.** What is kept for a local subscriber is numbered when it is committed, and the log has to be in
//!   that order ([`crate::bus::Journal`]). So a subscriber that survives a restart and hears the topics of two upstreams ties
//!   these together.
//! - **A memory is whole.** What a plugin remembers knows of all messages before; ticks have no place of their binding.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::BindingId;
use crate::spool::{Change, Key, Record};

#[derive(Default)]
pub(super) struct Barrier {
    bindings: HashSet<BindingId>,
    keys: HashSet<Key>,
    clients: HashSet<Arc<str>>,
    mailboxes: HashSet<Arc<str>>,
    memories: HashSet<Arc<str>>,
}

/// Whose mailbox it goes into.
fn mailbox(change: &Change) -> Option<&Arc<str>> {
    match (&change.key, &change.value) {
        (Key::Queued { client, .. }, Some(_)) => Some(client),
        _ => None,
    }
}

fn memory(change: &Change) -> Option<&Arc<str>> {
    match &change.key {
        Key::State { binding, .. } => Some(binding),
        _ => None,
    }
}

// === impl Barrier ===

impl Barrier {
    /// Whether this one has to wait.
    pub fn holds(&self, record: &Record) -> bool {
        let is_in = |set: &HashSet<Arc<str>>, name: Option<&Arc<str>>| name.is_some_and(|name| set.contains(name));
        record.bindings.iter().any(|binding| self.bindings.contains(binding))
            || record.changes.iter().any(|change| {
                self.keys.contains(&change.key)
                    || is_in(&self.clients, change.key.client())
                    || is_in(&self.mailboxes, mailbox(change))
                    || is_in(&self.memories, memory(change))
            })
    }

    /// It waits.
    pub fn add(&mut self, record: &Record) {
        self.bindings.extend(record.bindings.iter().copied());
        self.keys.extend(record.changes.iter().map(|change| change.key.clone()));
        self.mailboxes.extend(record.changes.iter().filter_map(mailbox).cloned());
        self.memories.extend(record.changes.iter().filter_map(memory).cloned());
        if record.outputs.is_empty() {
            self.clients.extend(record.changes.iter().filter_map(|change| change.key.client().cloned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::records::with_message;
    use crate::spool::{Receipt, Source};

    fn changes(changes: &[Change]) -> Record {
        Record::changes(changes.to_vec(), Receipt::none())
    }

    fn received(client: &str, packet_id: u16) -> Change {
        Change::put(Key::Qos2 { source: Source::Devices, client: client.into(), packet_id }, "q")
    }

    fn session(client: &str) -> Change {
        Change::put(Key::Session { client: client.into() }, "s")
    }

    fn queued(client: &str, number: u64) -> Change {
        Change::put(Key::Queued { client: client.into(), number }, "m")
    }

    fn state(key: &str) -> Change {
        Change::put(Key::State { binding: "b".into(), plugin: "p".into(), key: key.into() }, "7")
    }

    /// Whether the second waits behind the first.
    fn waits(first: &Record, second: &Record) -> bool {
        let mut behind = Barrier::default();
        behind.add(first);
        behind.holds(second)
    }

    #[test]
    fn what_ends_the_exchange_of_a_held_message_is_written_after_it() {
        let end = changes(&[Change::delete(received("a", 1).key)]);
        assert!(waits(&with_message(&[received("a", 1)]), &end));
        assert!(!waits(&with_message(&[received("a", 2)]), &end));
    }

    #[test]
    fn messages_of_one_binding_wait_for_each_other_and_those_of_others_pass() {
        let of = |bindings: &[usize]| {
            let bindings = bindings.iter().copied().map(BindingId).collect();
            Record { bindings, ..with_message(&[]) }
        };
        assert!(waits(&of(&[1, 2]), &of(&[2])) && waits(&of(&[2]), &of(&[2, 3])));
        assert!(!waits(&of(&[1]), &of(&[2])) && !waits(&of(&[1]), &of(&[])));
    }

    #[test]
    fn another_message_of_a_client_passes_and_its_small_changes_keep_their_order() {
        assert!(!waits(&with_message(&[received("a", 1)]), &with_message(&[received("a", 2)])));
        assert!(waits(&changes(&[session("a")]), &changes(&[received("a", 2)])));
        assert!(waits(&changes(&[session("a")]), &with_message(&[received("a", 2)])));
        assert!(!waits(&changes(&[session("a")]), &changes(&[session("b")])));
    }

    #[test]
    fn deliveries_to_one_mailbox_are_written_in_the_order_of_their_numbers() {
        assert!(waits(&with_message(&[queued("s", 5)]), &with_message(&[queued("s", 6)])));
        assert!(!waits(&with_message(&[queued("s", 5)]), &with_message(&[queued("r", 6)])));
        let confirmed = changes(&[Change::delete(queued("s", 4).key)]);
        assert!(!waits(&with_message(&[queued("s", 5)]), &confirmed), "a device is not kept waiting for what it has");
    }

    #[test]
    fn what_a_plugin_remembers_is_written_after_what_it_remembered_before() {
        assert!(waits(&with_message(&[state("one")]), &changes(&[state("two")])));
    }
}
