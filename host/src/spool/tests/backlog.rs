//! A backlog larger than memory: the log has it, memory has its head, and nobody can tell from the order.

use super::super::upstream_queue::SHELF_BYTES;
use super::*;

const PAYLOAD: usize = 16 << 10;

fn large() -> config::Spool {
    config::Spool { max_bytes: 256 << 20, ..small() }
}

/// Its number, and enough weight that a few thousand do not fit the shelf.
fn heavy(number: usize) -> String {
    format!("{number:0>PAYLOAD$}")
}

fn filled(messages: usize) -> Bench {
    let bench = Bench::open(SimDisk::default(), vec!["one"], large()).unwrap();
    (0..messages).for_each(|number| bench.commit(number as u64, &[(0, Q1, &heavy(number))]));
    bench
}

/// Reads as a sender does, completes behind it, and returns the numbers as they came.
fn drain(bench: &Bench, window: usize) -> Vec<usize> {
    let queue = bench.spool.queue(UpstreamId(0));
    let (mut seen, mut cursor) = (Vec::new(), Position::START);
    loop {
        let entries = queue.read(cursor, window, ALL);
        let Some(last) = entries.last() else { return seen };
        cursor = last.position;
        for entry in &entries {
            seen.push(String::from_utf8_lossy(&entry.message.payload).parse().unwrap());
            queue.complete(entry.position, Fate::Forwarded);
        }
        assert!(bench.weight(0) <= SHELF_BYTES + 2 * (1 << 20), "{} bytes in memory", bench.weight(0));
    }
}

#[test]
fn a_backlog_beyond_memory_is_delivered_completely_and_in_order() {
    let bench = filled(3000);
    assert!(bench.weight(0) <= SHELF_BYTES + PAYLOAD * 2, "48 MB were committed");
    assert_eq!(bench.spool.waiting(), 3000);
    assert_eq!(drain(&bench, 100), (0..3000).collect::<Vec<_>>());
    bench.balance();
}

#[test]
fn what_comes_while_a_backlog_drains_stands_behind_it_and_qos_0_does_not() {
    let bench = filled(3000);
    bench.commit(3000, &[(0, Q1, &heavy(3000))]);
    bench.commit(3001, &[(0, Q0, &heavy(9999))]);
    let mut seen = drain(&bench, 100);
    let early = seen.iter().position(|number| *number == 9999).unwrap();
    assert!(early < 2000, "QoS 0 has waited for the backlog");
    seen.remove(early);
    assert_eq!(seen, (0..=3000).collect::<Vec<_>>());
}

#[test]
fn a_backlog_survives_with_its_holes() {
    let bench = filled(3000);
    let queue = bench.spool.queue(UpstreamId(0));
    let done: Vec<Position> = [3, 7, 8, 500].map(Position::of).into();
    done.iter().for_each(|position| queue.complete(*position, Fate::Forwarded));
    drop(queue);
    let bench = bench.reopen();
    assert_eq!((bench.restored.recovery.waiting, bench.spool.waiting()), (2996, 2996));
    assert!(bench.weight(0) <= SHELF_BYTES + 2 * (1 << 20));
    let left: Vec<_> = (0..3000).filter(|number| !done.contains(&Position::of(*number as u64 + 1))).collect();
    assert_eq!(drain(&bench, 77), left);
    bench.balance();
}

#[test]
fn segments_go_when_their_messages_are_done() {
    let bench = filled(6000);
    let segments = |bench: &Bench| {
        bench.disk.files().iter().filter(|file| file.extension().is_some_and(|ending| ending == "log")).count()
    };
    assert!(segments(&bench) >= 3);
    drain(&bench, 100);
    assert_eq!(segments(&bench), 1);
    let bench = bench.reopen();
    bench.commit(1, &[(0, Q1, "next")]);
    assert_eq!(bench.entries(0)[0].position.number, 6001, "numbers go on when nothing is left to count");
}

#[test]
fn a_completion_in_the_part_that_is_not_in_memory_counts() {
    let bench = filled(3000).reopen();
    let queue = bench.spool.queue(UpstreamId(0));
    queue.complete(Position::of(2500), Fate::Forwarded);
    queue.complete(Position::of(2500), Fate::Forwarded);
    assert_eq!(bench.spool.waiting(), 2999);
    assert_eq!(drain(&bench, 100).len(), 2999);
    bench.balance();
}
