//! The spool's promises: order, atomic admission, bounds, and books that balance.

use std::time::Instant;

use proptest::prelude::*;
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::message::{Message, QoS};
use crate::topic::TopicName;

const ALL: usize = usize::MAX;

struct Bench {
    spool: Spool,
    counters: Arc<Counters>,
    lane: Arc<Semaphore>,
    done: mpsc::UnboundedSender<u64>,
    acks: mpsc::UnboundedReceiver<u64>,
}

impl Bench {
    fn new(upstreams: usize, max_messages: usize) -> Self {
        Self::with(upstreams, config::Spool { max_messages, max_bytes: 1 << 20, max_qos0_messages: 2 })
    }

    fn with(upstreams: usize, limits: config::Spool) -> Self {
        let counters = Arc::new(Counters::default());
        let (done, acks) = mpsc::unbounded_channel();
        let spool = Spool::new(upstreams, &limits, counters.clone());
        Self { spool, counters, lane: Arc::new(Semaphore::new(1000)), done, acks }
    }

    /// Commits one record; each output is (upstream, QoS, text). Its ticket is the number in the text of the first.
    fn commit(&self, ticket: u64, outputs: &[(usize, QoS, &str)]) {
        let outputs = outputs.iter().map(|(upstream, qos, text)| Output {
            upstream: *upstream,
            message: Message::new(TopicName::parse("t").unwrap(), text.to_string(), *qos),
            arrived: Instant::now(),
        });
        let hold = vec![self.lane.clone().try_acquire_owned().unwrap()];
        let receipt = Receipt::new(ticket, self.done.clone());
        self.spool.commit(Record { outputs: outputs.collect(), changes: Vec::new(), receipt, hold });
    }

    fn read(&self, upstream: usize) -> Vec<String> {
        let entries = self.spool.queue(upstream).read(Position::START, ALL, ALL);
        entries.iter().map(|entry| String::from_utf8_lossy(&entry.message.payload).into_owned()).collect()
    }

    fn complete_first(&self, upstream: usize) -> bool {
        let queue = self.spool.queue(upstream);
        let Some(entry) = queue.read(Position::START, 1, ALL).pop() else { return false };
        queue.complete(entry.position, Fate::Forwarded);
        true
    }

    fn acks(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.acks.try_recv().ok()).collect()
    }

    fn held(&self) -> usize {
        1000 - self.lane.available_permits()
    }

    fn balance(&self) {
        let c = &self.counters;
        let ended = [&c.forwarded, &c.upstream_refused, &c.expired, &c.oversize, &c.dropped_full];
        let ended: u64 = ended.iter().map(|counter| counter.get()).sum();
        assert_eq!(c.committed.get(), self.spool.waiting() as u64 + ended);
    }
}

use QoS::{AtLeastOnce as Q1, AtMostOnce as Q0, ExactlyOnce as Q2};

#[test]
fn a_record_without_outputs_is_acknowledged_at_once() {
    let mut bench = Bench::new(1, 1);
    bench.commit(1, &[]);
    assert_eq!((bench.acks(), bench.held()), (vec![1], 0));
}

#[test]
fn a_record_without_room_is_not_acknowledged_and_keeps_its_place_in_the_lane() {
    let mut bench = Bench::new(1, 1);
    bench.commit(1, &[(0, Q1, "a")]);
    bench.commit(2, &[(0, Q1, "b")]);
    assert_eq!((bench.acks(), bench.held(), bench.spool.waiting()), (vec![1], 1, 2));
    bench.complete_first(0);
    assert_eq!((bench.acks(), bench.held(), bench.read(0)), (vec![2], 0, vec!["b".to_string()]));
    bench.balance();
}

#[test]
fn nobody_overtakes_a_waiting_record_to_the_same_upstream() {
    let bench = Bench::new(1, 3);
    bench.commit(1, &[(0, Q1, "a"), (0, Q1, "b")]);
    bench.commit(2, &[(0, Q2, "c"), (0, Q2, "d")]);
    bench.commit(3, &[(0, Q1, "e")]);
    assert_eq!(bench.read(0), ["a", "b"], "`e` would fit, but `c` came first");
    bench.complete_first(0);
    assert_eq!(bench.read(0), ["b", "c", "d"]);
    bench.complete_first(0);
    assert_eq!(bench.read(0), ["c", "d", "e"]);
}

#[test]
fn a_full_upstream_does_not_hold_up_another() {
    let mut bench = Bench::new(2, 1);
    bench.commit(1, &[(0, Q1, "a")]);
    bench.commit(2, &[(0, Q1, "b")]);
    bench.commit(3, &[(1, Q1, "c")]);
    assert_eq!((bench.read(1), bench.acks()), (vec!["c".to_string()], vec![1, 3]));
    bench.commit(4, &[(1, Q1, "d")]);
    bench.complete_first(1);
    assert_eq!(bench.read(1), ["d"], "passes the record that waits for the other upstream");
}

#[test]
fn the_outputs_of_a_record_are_admitted_together() {
    let mut bench = Bench::new(2, 1);
    bench.commit(1, &[(0, Q1, "a")]);
    bench.commit(2, &[(0, Q1, "b"), (1, Q1, "b"), (1, Q0, "q")]);
    bench.commit(3, &[(1, Q1, "c")]);
    assert_eq!(bench.read(1), [] as [&str; 0], "neither half of `b`, nor `c` that came after it");
    bench.complete_first(0);
    assert_eq!((bench.read(0), bench.read(1)), (vec!["b".into()], vec!["b".into(), "q".into()]));
    assert_eq!(bench.acks(), [1, 2]);
    bench.balance();
}

#[test]
fn a_record_larger_than_the_shelf_is_admitted_when_the_shelf_is_empty() {
    let mut bench = Bench::new(1, 1);
    bench.commit(1, &[(0, Q1, "a")]);
    bench.commit(2, &[(0, Q1, "b"), (0, Q1, "c")]);
    bench.complete_first(0);
    assert_eq!((bench.read(0), bench.acks()), (vec!["b".to_string(), "c".into()], vec![1, 2]));
}

#[test]
fn the_cap_on_bytes_makes_a_record_wait() {
    let limits = config::Spool { max_messages: 100, max_bytes: 400, max_qos0_messages: 1 };
    let mut bench = Bench::with(1, limits);
    bench.commit(1, &[(0, Q1, &"x".repeat(100))]);
    bench.commit(2, &[(0, Q1, &"y".repeat(100))]);
    assert_eq!(bench.acks(), [1]);
}

#[test]
fn qos_0_drops_its_oldest_and_never_waits() {
    let mut bench = Bench::new(1, 1);
    bench.commit(1, &[(0, Q1, "a")]);
    bench.commit(2, &[(0, Q1, "b")]);
    for (ticket, text) in [(3, "q1"), (4, "q2"), (5, "q3")] {
        bench.commit(ticket, &[(0, Q0, text)]);
    }
    assert_eq!((bench.read(0), bench.acks()), (vec!["a".into(), "q2".into(), "q3".to_string()], vec![1, 3, 4, 5]));
    assert_eq!(bench.counters.dropped_full.get(), 1);
    bench.balance();
}

#[test]
fn an_entry_stays_until_it_is_completed_and_is_counted_once() {
    let bench = Bench::new(1, 10);
    bench.commit(1, &[(0, Q1, "a"), (0, Q0, "q"), (0, Q1, "b")]);
    let queue = bench.spool.queue(0);
    let entries = queue.read(Position::START, ALL, ALL);
    queue.complete(entries[2].position, Fate::Refused);
    assert_eq!(bench.read(0), ["a", "q"]);
    assert_eq!(queue.read(entries[0].position, ALL, ALL).len(), 1);
    for _ in 0..2 {
        entries.iter().for_each(|entry| queue.complete(entry.position, Fate::Forwarded));
    }
    assert_eq!((bench.counters.forwarded.get(), bench.counters.upstream_refused.get()), (2, 1));
    assert!(queue.is_empty() && !queue.has_after(Position::START));
    bench.balance();
}

#[test]
fn a_read_gives_at_least_one_entry_and_respects_its_caps() {
    let bench = Bench::new(1, 10);
    bench.commit(1, &[(0, Q1, "a"), (0, Q1, "b"), (0, Q1, "c")]);
    let queue = bench.spool.queue(0);
    assert_eq!(queue.read(Position::START, 2, ALL).len(), 2);
    assert_eq!(queue.read(Position::START, ALL, 1).len(), 1);
    assert_eq!(queue.read(Position::START, 0, ALL).len(), 0);
}

#[tokio::test]
async fn an_arrival_before_the_wait_is_not_missed() {
    let bench = Bench::new(2, 10);
    let queue = bench.spool.queue(1);
    bench.commit(1, &[(1, Q1, "a")]);
    queue.wait_after(Position::START).await;
    let after = queue.read(Position::START, 1, ALL)[0].position;
    let waiting = tokio::spawn(async move { queue.wait_after(after).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    bench.commit(2, &[(1, Q0, "b")]);
    waiting.await.unwrap();
}

proptest! {
    /// Random commits to three small upstreams, completed in random turns.
    #[test]
    fn each_upstream_sees_commit_order_and_everything_is_acknowledged(
        steps in prop::collection::vec((prop::collection::vec((0..3_usize, 0..3_u8), 0..4), 0..4_usize), 1..60),
    ) {
        let mut bench = Bench::new(3, 2);
        let mut seen: [Vec<u64>; 3] = Default::default();
        let drain = |bench: &Bench, upstream: usize, seen: &mut [Vec<u64>; 3]| {
            let queue = bench.spool.queue(upstream);
            let entries = queue.read(Position::START, 1, ALL);
            for entry in &entries {
                if entry.message.qos > Q0 {
                    seen[upstream].push(String::from_utf8_lossy(&entry.message.payload).parse().unwrap());
                }
                queue.complete(entry.position, Fate::Forwarded);
            }
            bench.balance();
            !entries.is_empty()
        };
        let mut expected: [Vec<u64>; 3] = Default::default();
        for (ticket, (outputs, turn)) in steps.iter().enumerate() {
            let text = ticket.to_string();
            let outputs: Vec<_> =
                outputs.iter().map(|(u, qos)| (*u, QoS::from_bits(*qos).unwrap(), text.as_str())).collect();
            outputs.iter().filter(|(_, qos, _)| *qos > Q0).for_each(|(u, ..)| expected[*u].push(ticket as u64));
            bench.commit(ticket as u64, &outputs);
            if *turn < 3 {
                drain(&bench, *turn, &mut seen);
            }
        }
        while (0..3).any(|upstream| drain(&bench, upstream, &mut seen)) {}
        prop_assert_eq!(seen, expected);
        let mut acks = bench.acks();
        acks.sort_unstable();
        prop_assert_eq!(acks, (0..steps.len() as u64).collect::<Vec<_>>());
        prop_assert_eq!((bench.held(), bench.spool.waiting()), (0, 0));
    }
}
