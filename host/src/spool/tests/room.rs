//! The room of the log: what may take more than its part, and what may not.

use super::*;

const SEGMENT: u64 = 1 << 20;
const TEXT: usize = 50_000;
const VALUE: usize = 10_000;

fn log_bytes(bench: &Bench) -> u64 {
    let files = bench.disk.files().into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "log"));
    let mut bytes = 0;
    files.for_each(|file| bench.disk.edit(&file, |all| bytes += all.len() as u64));
    bytes
}

/// Messages until one has no room. How many had.
fn fill(bench: &mut Bench) -> u64 {
    let text = "x".repeat(TEXT);
    let sent = (0..10_000).take_while(|ticket| {
        bench.commit(100_000 + ticket, &[(0, Q1, &text)]);
        !bench.acks().is_empty()
    });
    sent.count() as u64
}

#[test]
fn a_full_log_does_not_grow_with_its_restarts_and_drains_after_them() {
    let mut bench = Bench::new(1);
    let waiting = fill(&mut bench);
    for round in 0..8 {
        // What devices change without a message, until that has no room either.
        for number in 0..12_000 {
            bench.commit_with(number, &[], vec![Change::put(key(number % 100), "kept")]);
            if bench.acks().is_empty() {
                break;
            }
        }
        bench = bench.reopen();
        let (bytes, limit) = (log_bytes(&bench), bench.config.max_bytes);
        assert!(bytes <= limit + SEGMENT, "{bytes} of {limit} bytes after {round} restarts");
    }
    assert_eq!(bench.spool.waiting() as u64, waiting);
    while bench.complete_first(0) {}
    let bench = bench.reopen();
    assert_eq!(bench.spool.waiting(), 0, "what was done is done, durably");
    assert!(log_bytes(&bench) <= bench.config.max_bytes);
}

/// A quarter of the log: as much as segments of their own, in which nothing changes.
fn with_state(entries: u64) -> Bench {
    let mut bench = Bench::new(1);
    for number in 0..entries {
        bench.commit_with(number, &[], vec![Change::put(key(number), vec![7; VALUE])]);
    }
    assert_eq!(bench.acks().len() as u64, entries);
    bench
}

/// Fills the log, and then sends as the upstream takes; how many messages had room, and how many bytes were written for the first and
/// for the second.
fn load(bench: &mut Bench) -> (u64, u64, u64) {
    let begin = bench.disk.written();
    let room = fill(bench);
    let full = bench.disk.written();
    let text = "x".repeat(TEXT);
    for ticket in 0..600 {
        bench.commit(200_000 + ticket, &[(0, Q1, &text)]);
        assert!(bench.complete_first(0), "something waits");
    }
    (room, full - begin, bench.disk.written() - full)
}

#[test]
fn state_of_a_quarter_of_the_log_takes_no_room_and_is_seldom_written_again() {
    let (room, filled, drained) = load(&mut Bench::new(1));
    let mut bench = with_state(100);
    let own = bench.disk.written();
    let (room_beside, filled_beside, drained_beside) = load(&mut bench);
    let percent = |beside: u64, alone: u64| beside * 100 / alone;
    println!(
        "room {} %, written when it fills {} %, with the state itself {} %, when it drains {} %",
        percent(room_beside, room),
        percent(filled_beside, filled),
        percent(own + filled_beside, filled),
        percent(drained_beside, drained)
    );
    assert!(percent(room_beside, room) >= 95, "{room_beside} messages beside the state, {room} without");
    assert!(percent(filled_beside, filled) <= 110, "{filled_beside} bytes beside the state, {filled} without");
    assert!(percent(drained_beside, drained) <= 130, "{drained_beside} bytes beside the state, {drained} without");
    let bench = bench.reopen();
    assert_eq!(bench.restored.state.len(), 100);
    assert!(log_bytes(&bench) <= 2 * bench.config.max_bytes, "its budget is bounded");
}
