//! Wills wait for a budget, beside messages that do not.
//!
//! A will may have 250 KB, and a device that comes and goes brings it each time, from as many client identifiers as it likes: it had the log written with
//! twenty megabytes a second, and everybody's messages behind these. That a will is written is promised to nobody; so wills are written a few at
//! a time, and so many bytes in a second. What a later record changes again while it waits is not written at all.
//!
//! - **Nothing but a will waits here.** A record that takes one back, or has something else, goes on at once; where it changes a will that waits, this one is over.
//! - **Usually nobody waits**: as much passes at once as may be unwritten at CONNECT (`ingress/wills`), which is what all devices of a large plant bring when they
//!   come back together.
//!
//! Not chosen: a budget for each client. Identifiers cost nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::clock;
use crate::base::token_bucket::TokenBucket;
use crate::spool::{Change, Key, Record};

/// KiB at once, and how long one more takes: a megabyte a second, which wears out no flash.
const BURST: u32 = 8 << 10;
const INTERVAL: Duration = Duration::from_millis(1);

/// In one write, beside whatever else: an ack that waits for it waits some milliseconds more.
const MOST_KIB: u32 = 64;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) struct Wills {
    /// In the order in which they came.
    waiting: BTreeMap<u64, Record>,
    of: HashMap<Arc<str>, u64>,
    next: u64,
    budget: TokenBucket,
}

// === impl Wills ===

impl Wills {
    pub fn new() -> Self {
        let budget = TokenBucket::full(BURST, INTERVAL, clock::now());
        Self { waiting: BTreeMap::new(), of: HashMap::new(), next: 0, budget }
    }

    /// Takes wills out of what has come.
    pub fn hold(&mut self, incoming: &mut VecDeque<Record>) {
        if self.waiting.is_empty() && !incoming.iter().any(is_will) {
            return;
        }
        for record in std::mem::take(incoming) {
            record.changes.iter().filter_map(client).for_each(|client| self.is_over(client));
            match record.changes.first().and_then(client).filter(|_| is_will(&record)).cloned() {
                Some(client) => self.put(client, record),
                None => incoming.push_back(record),
            }
        }
    }

    fn put(&mut self, client: Arc<str>, record: Record) {
        self.of.insert(client, self.next);
        self.waiting.insert(self.next, record);
        self.next += 1;
    }

    /// Nobody waits for it: its receipt gives back its place.
    fn is_over(&mut self, client: &Arc<str>) {
        let waiting = self.of.remove(client).and_then(|number| self.waiting.remove(&number));
        waiting.into_iter().for_each(|record| record.receipt.resolve());
    }

    /// Those that may be written now; all of them when the spool closes.
    pub fn release(&mut self, into: &mut VecDeque<Record>, is_closing: bool) {
        let (now, mut most) = (clock::now(), MOST_KIB);
        while let Some(first) = self.waiting.first_entry() {
            let kib = kib(first.get());
            if !is_closing && (most == 0 || !self.budget.take(kib, now)) {
                return;
            }
            most = most.saturating_sub(kib);
            let record = first.remove();
            record.changes.iter().filter_map(client).for_each(|client| _ = self.of.remove(client));
            into.push_back(record);
        }
    }

    /// When to look again.
    pub fn due(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then(|| clock::now() + LOOK_AGAIN)
    }
}

/// Of a change of a will.
fn client(change: &Change) -> Option<&Arc<str>> {
    match &change.key {
        Key::Will { client } => Some(client),
        _ => None,
    }
}

/// Alone, and not taken back.
fn is_will(record: &Record) -> bool {
    let is_put = |change: &Change| client(change).is_some() && change.value.is_some();
    record.outputs.is_empty() && matches!(&record.changes[..], [only] if is_put(only))
}

fn kib(record: &Record) -> u32 {
    let bytes: usize = record.changes.iter().map(Change::weight).sum();
    u32::try_from(bytes / 1_024 + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::tests::records::with_message;
    use crate::spool::{Receipt, Resolved};

    fn will(client: &str, kib: usize) -> Change {
        Change::put(Key::Will { client: client.into() }, vec![b'x'; kib << 10])
    }

    fn session(client: &str) -> Change {
        Change::put(Key::Session { client: client.into() }, "s")
    }

    fn record(changes: &[Change]) -> Record {
        Record::changes(changes.to_vec(), Receipt::none())
    }

    /// What goes on of these, at once and then in so many turns.
    fn passing(wills: &mut Wills, records: Vec<Record>, turns: usize) -> Vec<Record> {
        let mut incoming = records.into();
        wills.hold(&mut incoming);
        (0..turns).for_each(|_| wills.release(&mut incoming, false));
        incoming.into()
    }

    fn bytes(records: &[Record]) -> usize {
        records.iter().flat_map(|record| &record.changes).map(Change::weight).sum()
    }

    #[tokio::test(start_paused = true)]
    async fn wills_that_come_and_go_are_a_few_in_each_write_and_so_many_in_a_second() {
        let (mut wills, mut written, mut most) = (Wills::new(), 0, 0);
        for second in 0..6 {
            for turn in 0..250 {
                let of = |number| record(&[will(&format!("hostile{}", (turn * 10 + number) % 50), 10)]);
                let mut records: Vec<Record> = (0..10).map(of).collect();
                records.push(with_message(&[]));
                let passed = passing(&mut wills, records, 1);
                assert!(passed.iter().any(|record| !record.outputs.is_empty()), "messages do not wait");
                (written, most) = (written + bytes(&passed), most.max(bytes(&passed)));
                tokio::time::advance(Duration::from_millis(4)).await;
            }
            assert!(written < (second + 2 + 8) << 20, "{written} bytes after {second} s");
        }
        assert!(most < 80 << 10, "{most} bytes in one write");
        assert!(wills.waiting.len() <= 50 && wills.of.len() == wills.waiting.len(), "one of each client waits");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_longest_is_written_first_and_all_of_it_in_time() {
        let mut wills = Wills::new();
        let burst: Vec<Record> = (0..40).map(|number| record(&[will(&format!("hostile{number}"), 240)])).collect();
        passing(&mut wills, burst, 100);
        assert!(passing(&mut wills, vec![record(&[will("honest", 1)])], 1).is_empty());
        assert!(wills.due().is_some());
        let mut passed = Vec::new();
        while wills.due().is_some() {
            tokio::time::advance(LOOK_AGAIN).await;
            passed.extend(passing(&mut wills, Vec::new(), 1));
        }
        assert_eq!(passed.last().unwrap().changes, [will("honest", 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_changed_again_is_over_and_what_takes_it_back_goes_on() {
        let (mut wills, given_back) = (Wills::new(), Resolved::default());
        wills.budget.take(BURST, clock::now());
        let first = Record::changes(vec![will("a", 1)], Receipt::new(1, given_back.clone()));
        let taken_back = [session("b"), Change::delete(Key::Will { client: "b".into() })];
        let records = vec![first, record(&[will("b", 1)]), record(&[session("a")]), record(&taken_back)];
        let passed = passing(&mut wills, records, 1);
        let changes: Vec<_> = passed.iter().map(|record| record.changes.clone()).collect();
        assert_eq!(changes, [vec![session("a")], taken_back.to_vec()]);
        assert!(passing(&mut wills, vec![record(&[will("a", 2)])], 1).is_empty());
        assert_eq!(given_back.try_next(), Some(1));
        let mut rest = VecDeque::new();
        wills.release(&mut rest, true);
        assert_eq!(rest.iter().map(|record| record.changes.clone()).collect::<Vec<_>>(), [vec![will("a", 2)]]);
        assert!(wills.due().is_none() && wills.of.is_empty());
    }
}
