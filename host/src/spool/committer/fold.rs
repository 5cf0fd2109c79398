//! What waits and is made undone, or done again, by what waits behind it is not written, and takes no memory.
//!
//! Beside a full log, devices come and go: each time a session begins or leaves, a will is put, and taken back. Only the last of each
//! counts.
//!
//! - **A will alone** goes when a later record of its client changes the will again. Until then the log says what it said before: that
//!   a will is written is promised to nobody, its device might as well have connected a moment later.
//! - **Small records of one client** become one, with the promises of all. They stand in front of everything that waits, so that nothing of
//!   their client is between them.
//! - **What was begun and ended** and is not in the log leaves nothing to write.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::config::Qos0;
use crate::spool::batch::weight;
use crate::spool::{Change, Key, Place, Record};

/// Of a record that others have become part of: more would not be small any more.
const MAX_BYTES: usize = 16 * 1_024;
const MAX_CHANGES: usize = 64;

/// Leaves out wills that are replaced by what comes later.
pub(super) fn wills(records: &mut VecDeque<Record>) {
    if records.iter().filter(|record| changes_will(record)).nth(1).is_none() {
        return;
    }
    let (mut later, mut kept) = (HashSet::<Arc<str>>::new(), VecDeque::with_capacity(records.len()));
    while let Some(record) = records.pop_back() {
        if is_will_alone(&record) && clients_of_wills(&record).all(|client| later.contains(client)) {
            record.receipt.resolve();
            continue;
        }
        later.extend(clients_of_wills(&record).cloned());
        kept.push_front(record);
    }
    *records = kept;
}

/// Of records that go in front of all others, in order: those of one client become one. `is_known` tells what the log has.
pub(super) fn small(ahead: VecDeque<Record>, is_known: impl Fn(&Key) -> bool) -> VecDeque<Record> {
    let (mut last, mut folded) = (HashMap::<Arc<str>, usize>::new(), Vec::<Record>::with_capacity(ahead.len()));
    for record in ahead {
        let owner = owner(&record).cloned();
        if let Some(before) = owner.as_ref().and_then(|owner| folded.get_mut(*last.get(owner)?))
            && fit_together(before, &record)
        {
            join(before, record);
            continue;
        }
        record.changes.iter().filter_map(|change| change.key.client()).for_each(|client| _ = last.remove(client));
        last.extend(owner.map(|owner| (owner, folded.len())));
        folded.push(record);
    }
    // The key of one may be put by another that is in front of it, so only the first of a client is asked.
    let mut seen = HashSet::<Key>::new();
    let mut is_nothing = |record: &Record| {
        let nothing = record
            .changes
            .iter()
            .all(|change| change.value.is_none() && !is_known(&change.key) && !seen.contains(&change.key));
        seen.extend(record.changes.iter().map(|change| change.key.clone()));
        nothing
    };
    let (undone, kept): (Vec<_>, Vec<_>) = folded.into_iter().partition(|record| is_nothing(record));
    undone.into_iter().for_each(|record| record.receipt.resolve());
    kept.into()
}

/// Whose it is, when it is of one client alone.
fn owner(record: &Record) -> Option<&Arc<str>> {
    let first = record.changes.first()?.key.client()?;
    record.changes.iter().all(|change| change.key.client() == Some(first)).then_some(first)
}

fn fit_together(one: &Record, other: &Record) -> bool {
    one.changes.len() + other.changes.len() <= MAX_CHANGES
        && weight(one, Qos0::Memory) + weight(other, Qos0::Memory) <= MAX_BYTES
}

fn join(into: &mut Record, record: Record) {
    let Record { changes, receipt, hold, bindings, .. } = record;
    into.changes.retain(|before| changes.iter().all(|change| change.key != before.key));
    into.changes.extend(changes);
    into.receipt = std::mem::take(&mut into.receipt).and(receipt);
    into.bindings.extend(bindings);
    let bytes = weight(into, Qos0::Memory);
    let receipts = into.receipt.count();
    for place in hold {
        let own = into.hold.iter_mut().find_map(|own| if let Place::InFlight(part) = own { Some(part) } else { None });
        match (place, own) {
            (Place::InFlight(part), Some(own)) => own.absorb(*part, bytes, receipts),
            (place, _) => into.hold.push(place),
        }
    }
}

fn is_will(change: &Change) -> bool {
    matches!(change.key, Key::Will { .. })
}

fn changes_will(record: &Record) -> bool {
    record.outputs.is_empty() && record.changes.iter().any(is_will)
}

/// Nobody waits for it: its receipt gives back its place.
fn is_will_alone(record: &Record) -> bool {
    record.outputs.is_empty() && !record.changes.is_empty() && record.changes.iter().all(is_will)
}

fn clients_of_wills(record: &Record) -> impl Iterator<Item = &Arc<str>> {
    record.changes.iter().filter(|change| is_will(change)).filter_map(|change| change.key.client())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::records::with_message;
    use crate::spool::{Receipt, Resolved};

    fn will(client: &str, text: &'static str) -> Change {
        Change::put(Key::Will { client: client.into() }, text)
    }

    fn session(client: &str, text: &'static str) -> Change {
        Change::put(Key::Session { client: client.into() }, text)
    }

    fn gone(change: Change) -> Change {
        Change::delete(change.key)
    }

    fn record(changes: &[Change]) -> Record {
        Record::changes(changes.to_vec(), Receipt::none())
    }

    fn changes(records: impl IntoIterator<Item = Record>) -> Vec<Vec<Change>> {
        records.into_iter().map(|record| record.changes).collect()
    }

    #[test]
    fn of_the_wills_of_a_client_the_last_one_waits_and_what_the_others_held_is_given_back() {
        let given_back = Resolved::default();
        let first = Record::changes(vec![will("a", "1")], Receipt::new(1, given_back.clone()));
        let due = [gone(will("b", "")), session("b", "ended")];
        let records = [
            first,
            with_message(&[]),
            record(&[will("b", "1")]),
            record(&[will("a", "2")]),
            record(&due),
            record(&[will("b", "2")]),
        ];
        let mut waiting: VecDeque<Record> = records.into();
        wills(&mut waiting);
        assert_eq!(changes(waiting), [vec![], vec![will("a", "2")], due.to_vec(), vec![will("b", "2")]]);
        assert_eq!(given_back.try_next(), Some(1));
    }

    #[test]
    fn a_will_that_stands_with_something_else_stays() {
        let both = [session("a", "begun"), will("a", "1")];
        let mut waiting: VecDeque<Record> = [record(&both), record(&[will("a", "2")])].into();
        wills(&mut waiting);
        assert_eq!(waiting.len(), 2);
    }

    #[test]
    fn small_records_of_one_client_become_one_with_the_last_of_each_and_all_promises() {
        let acks = Resolved::default();
        let promised =
            |changes: &[Change], ticket| Record::changes(changes.to_vec(), Receipt::new(ticket, acks.clone()));
        let filter = Change::put(Key::Subscription { client: "a".into(), filter: "f".into() }, "s");
        let records = [
            promised(&[session("a", "1")], 1),
            record(&[session("b", "1")]),
            promised(std::slice::from_ref(&filter), 2),
            promised(&[session("a", "2")], 3),
        ];
        let mut folded = small(records.into(), |_| true);
        assert_eq!(folded.iter().map(|record| record.changes.len()).collect::<Vec<_>>(), [2, 1]);
        let first = folded.pop_front().unwrap();
        assert_eq!(first.changes, [filter, session("a", "2")]);
        assert_eq!(acks.try_next(), None);
        first.receipt.resolve();
        assert_eq!([acks.try_next(), acks.try_next(), acks.try_next()], [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn what_stands_between_two_of_a_client_and_is_of_several_stays_between() {
        let of_two = [session("a", "x"), session("b", "x")];
        let records = [record(&[session("a", "1")]), record(&of_two), record(&[session("a", "2")])];
        assert_eq!(changes(small(records.into(), |_| true)).len(), 3);
    }

    #[test]
    fn a_session_that_begins_and_ends_leaves_nothing_to_write_unless_the_log_has_it() {
        let acks = Resolved::default();
        let records = || {
            let begun = Record::changes(vec![session("a", "1")], Receipt::new(1, acks.clone()));
            [begun, record(&[gone(session("a", ""))])].into()
        };
        assert!(small(records(), |_| false).is_empty());
        assert_eq!(acks.try_next(), Some(1));
        assert_eq!(changes(small(records(), |_| true)), [vec![gone(session("a", ""))]]);
    }

    #[test]
    fn what_deletes_what_waits_in_front_of_it_stays() {
        let many: Vec<Change> = (0..MAX_CHANGES as u64)
            .map(|number| Change::put(Key::Queued { client: "a".into(), number }, "m"))
            .collect();
        let end = gone(many[0].clone());
        let folded = small([record(&many), record(std::slice::from_ref(&end))].into(), |_| false);
        assert_eq!(changes(folded), [many, vec![end]]);
    }
}
