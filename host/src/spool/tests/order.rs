//! Order, atomic placing, QoS 0, and accounts that balance.

use proptest::prelude::*;

use super::*;

#[test]
fn a_record_without_outputs_is_acknowledged_at_once() {
    let mut bench = Bench::new(1);
    let syncs = bench.disk.syncs();
    bench.commit(1, &[]);
    assert_eq!((bench.acks(), bench.held(), bench.disk.syncs()), (vec![1], 0, syncs), "and costs the disk nothing");
}

#[test]
fn a_record_is_seen_and_acknowledged_when_it_is_on_the_disk_and_not_before() {
    let mut bench = Bench::new(1);
    let syncs = bench.disk.syncs();
    bench.commit(1, &[(0, Q1, "a"), (0, Q2, "b")]);
    assert_eq!((bench.acks(), bench.held(), bench.disk.syncs()), (vec![1], 0, syncs + 1));
    assert_eq!(bench.read(0), ["a", "b"]);
    bench.disk.fail_at(1, super::super::log::sim::Fault::Eio);
    bench.commit(2, &[(0, Q1, "c")]);
    assert_eq!((bench.acks(), bench.read(0)), (vec![], vec!["a".to_string(), "b".into()]));
}

#[test]
fn numbers_are_contiguous_for_each_upstream() {
    let bench = Bench::new(2);
    bench.commit(1, &[(0, Q1, "a"), (1, Q1, "b"), (0, Q2, "c"), (0, Q0, "q")]);
    bench.commit(2, &[(1, Q1, "d")]);
    let numbers = |upstream| bench.entries(upstream).iter().map(|entry| entry.position).collect::<Vec<_>>();
    assert_eq!(numbers(0), [Position::of(1), Position::of(2), Position { number: 2, sequence: 1 }]);
    assert_eq!(numbers(1), [Position::of(1), Position::of(2)]);
}

#[test]
fn an_output_to_an_upstream_that_does_not_exist_is_not_acknowledged() {
    let mut bench = Bench::new(1);
    bench.commit(1, &[(7, Q1, "a")]);
    assert_eq!((bench.acks(), bench.spool.waiting()), (vec![], 0));
}

#[test]
fn qos_0_drops_its_oldest_and_never_waits() {
    let mut bench = Bench::new(1);
    bench.commit(1, &[(0, Q1, "a")]);
    let syncs = bench.disk.syncs();
    for (ticket, text) in [(3, "q1"), (4, "q2"), (5, "q3")] {
        bench.commit(ticket, &[(0, Q0, text)]);
    }
    assert_eq!((bench.read(0), bench.acks()), (vec!["a".into(), "q2".into(), "q3".to_string()], vec![1, 3, 4, 5]));
    assert_eq!((bench.counters.totals().dropped_full, bench.disk.syncs()), (1, syncs));
    bench.balance();
}

#[test]
fn an_entry_stays_until_it_is_completed_and_is_counted_once() {
    let bench = Bench::new(1);
    bench.commit(1, &[(0, Q1, "a"), (0, Q0, "q"), (0, Q1, "b")]);
    let queue = bench.spool.queue(UpstreamId(0));
    let entries = queue.read(Position::START, ALL, ALL);
    assert_eq!(bench.read(0), ["a", "q", "b"]);
    queue.complete(entries[2].position, Fate::Refused);
    assert_eq!(bench.read(0), ["a", "q"]);
    assert_eq!(queue.read(entries[0].position, ALL, ALL).len(), 1);
    for _ in 0..2 {
        entries.iter().for_each(|entry| queue.complete(entry.position, Fate::Forwarded));
    }
    assert_eq!((bench.counters.totals().forwarded, bench.counters.totals().upstream_refused), (2, 1));
    assert!(queue.is_empty() && !queue.has_after(Position::START));
    bench.balance();
}

#[test]
fn a_read_gives_at_least_one_entry_and_respects_its_caps() {
    let bench = Bench::new(1);
    bench.commit(1, &[(0, Q1, "a"), (0, Q1, "b"), (0, Q1, "c")]);
    let queue = bench.spool.queue(UpstreamId(0));
    assert_eq!(queue.read(Position::START, 2, ALL).len(), 2);
    assert_eq!(queue.read(Position::START, ALL, 1).len(), 1);
    assert_eq!(queue.read(Position::START, 0, ALL).len(), 0);
}

#[tokio::test]
async fn an_arrival_before_the_wait_is_not_missed() {
    let bench = Bench::new(2);
    let queue = bench.spool.queue(UpstreamId(1));
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
    /// Random commits to three upstreams, completed in random turns.
    #[test]
    fn each_upstream_sees_commit_order_and_everything_is_acknowledged(
        steps in prop::collection::vec((prop::collection::vec((0..3_usize, 0..3_u8), 0..4), 0..4_usize), 1..60),
    ) {
        let mut bench = Bench::new(3);
        let mut seen: [Vec<u64>; 3] = Default::default();
        let drain = |bench: &Bench, upstream: usize, seen: &mut [Vec<u64>; 3]| {
            let queue = bench.spool.queue(UpstreamId(upstream));
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
