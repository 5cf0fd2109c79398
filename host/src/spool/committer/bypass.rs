//! What needs hardly any room goes before what waits for it.
//!
//! A full log holds records in commit order. A release, a subscription, the end of a session would wait among them, and with
//! each the ack of a device that asks for no room at all. A record of small changes alone therefore overtakes those with
//! messages, and is written into what the log keeps free for completions, as long as enough of that is left.
//!
//! Not what a plugin remembers, however small: it knows of all messages before its own.
//!
//! Never past a record that changes the same key, and never past a small one of the same client: what the state says at the
//! end, and in which order one client's state comes about, is as if nobody had overtaken.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::fold;
use crate::config::Qos0;
use crate::spool::batch::weight;
use crate::spool::{Change, Key, Record};

/// The description of a session, of a subscription, of an exchange. A message is larger, and waits.
const MAX_VALUE_BYTES: usize = 32;

/// Of one record: a SUBSCRIBE with hundreds of filters.
const MAX_BYTES: usize = 64 * 1_024;

/// Puts the records that may overtake to the front, in their order, and makes one of those of a client. How many they are.
pub(super) fn advance(records: &mut VecDeque<Record>, is_known: impl Fn(&Key) -> bool) -> usize {
    if !records.iter().any(is_small) {
        return 0;
    }
    let (mut keys, mut clients) = (HashSet::<Key>::new(), HashSet::<Arc<str>>::new());
    let (mut ahead, mut behind) = (VecDeque::new(), VecDeque::with_capacity(records.len()));
    for record in records.drain(..) {
        let small = is_small(&record);
        let waits = |change: &Change| {
            keys.contains(&change.key) || change.key.client().is_some_and(|client| clients.contains(client))
        };
        if small && !record.changes.iter().any(waits) {
            ahead.push_back(record);
            continue;
        }
        if small {
            clients.extend(record.changes.iter().filter_map(|change| change.key.client().cloned()));
        }
        keys.extend(record.changes.iter().map(|change| change.key.clone()));
        behind.push_back(record);
    }
    let mut ahead = fold::small(ahead, is_known);
    let count = ahead.len();
    ahead.append(&mut behind);
    *records = ahead;
    count
}

fn is_small(record: &Record) -> bool {
    // With its message, which stands beside the bytes of a value.
    let fits = |change: &Change| change.value.as_ref().is_none_or(|value| value.weight() <= MAX_VALUE_BYTES);
    let remembers = |change: &Change| matches!(change.key, Key::State { .. });
    record.outputs.is_empty()
        && !record.changes.iter().any(remembers)
        && record.changes.iter().all(fits)
        && weight(record, Qos0::Memory) <= MAX_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Message, QoS};
    use crate::spool::tests::records::with_message;
    use crate::spool::{Receipt, Source, Value};
    use crate::topic::TopicName;

    fn session(client: &str) -> Change {
        Change::put(Key::Session { client: client.into() }, "s")
    }

    fn subscription(client: &str) -> Change {
        Change::put(Key::Subscription { client: client.into(), filter: "f".into() }, "s")
    }

    fn received(client: &str, packet_id: u16) -> Key {
        Key::Qos2 { source: Source::Devices, client: client.into(), packet_id }
    }

    fn small(changes: &[Change]) -> Record {
        Record::changes(changes.to_vec(), Receipt::none())
    }

    /// The places that the records had before, of those that overtake.
    fn advanced(records: Vec<Record>) -> Vec<usize> {
        let before: Vec<Change> = records.iter().map(|record| record.changes.first().cloned()).map(or_none).collect();
        let mut records: VecDeque<Record> = records.into();
        let count = advance(&mut records, |_| true);
        let place = |change: &Change| before.iter().position(|first| first == change).unwrap();
        records.iter().take(count).flat_map(|record| &record.changes).map(place).collect()
    }

    /// Of a record without changes.
    fn or_none(change: Option<Change>) -> Change {
        change.unwrap_or_else(|| Change::delete(Key::Upstream { name: "none".into() }))
    }

    #[test]
    fn small_changes_overtake_messages_in_their_own_order() {
        let records = vec![
            with_message(&[Change::put(received("a", 1), "x")]),
            small(&[Change::delete(received("a", 2))]),
            with_message(&[]),
            small(&[subscription("a")]),
        ];
        assert_eq!(advanced(records), [1, 3]);
    }

    #[test]
    fn nothing_passes_a_change_of_its_own_key_nor_what_is_small_and_waits_for_the_same_client() {
        let records = vec![
            with_message(&[Change::delete(session("a").key)]),
            small(&[session("a")]),
            small(&[subscription("a")]),
            small(&[subscription("b")]),
        ];
        assert_eq!(advanced(records), [3]);
    }

    #[test]
    fn what_a_plugin_remembers_overtakes_nothing() {
        let key = Key::State { binding: "b".into(), plugin: "p".into(), key: "n".into() };
        assert!(advanced(vec![with_message(&[]), small(&[Change::put(key, "7")])]).is_empty());
    }

    #[test]
    fn a_message_beside_a_value_overtakes_nothing() {
        let message = Message::new(TopicName::parse("t").unwrap(), vec![0; 3_000], QoS::AtLeastOnce);
        let beside = |key| small(&[Change::put(key, Value::with_message(vec![1; 9], message.clone()))]);
        let retained = beside(Key::Retained { topic: message.topic.clone() });
        let will = beside(Key::Will { client: "a".into() });
        assert!(advanced(vec![with_message(&[]), retained, will]).is_empty());
    }

    #[test]
    fn a_message_that_is_kept_for_a_subscriber_overtakes_nothing() {
        let queued = Change::put(Key::Queued { client: "a".into(), number: 1 }, vec![0; MAX_VALUE_BYTES + 1]);
        assert!(advanced(vec![with_message(&[]), small(&[queued])]).is_empty());
    }
}
