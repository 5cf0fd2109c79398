//! Full is back-pressure, not an end: what has no room waits, and goes on by itself.

use std::time::Duration;

use super::super::committer::RETRY;
use super::super::log::sim::Fault;
use super::*;

fn fill(bench: &mut Bench) -> u64 {
    let text = "x".repeat(50_000);
    let mut ticket = 0;
    loop {
        ticket += 1;
        bench.commit(ticket, &[(0, Q1, &text)]);
        if bench.acks().is_empty() {
            return ticket;
        }
        assert!(ticket < 10_000, "4 MiB are never full");
    }
}

/// Waits as long as a full log does before it is tried again, and turns it.
fn retry(bench: &Bench) {
    std::thread::sleep(RETRY + Duration::from_millis(1));
    bench.spool.shared.notify();
}

#[test]
fn a_full_log_holds_records_with_their_places_and_takes_them_in_order_when_messages_are_done() {
    let mut bench = Bench::new(2);
    let first = fill(&mut bench);
    bench.commit(first + 1, &[(1, Q1, "b")]);
    bench.commit(first + 2, &[(0, Q1, "c"), (1, Q1, "c")]);
    assert_eq!((bench.held(), bench.acks(), bench.read(1)), (3, vec![], vec![]));
    bench.balance();
    while bench.acks.is_empty() {
        assert!(bench.complete_first(0), "everything is done and nothing has moved");
    }
    assert_eq!((bench.acks(), bench.held()), (vec![first, first + 1, first + 2], 0));
    assert_eq!(bench.read(1), ["b", "c"]);
    bench.balance();
}

#[test]
fn qos_0_and_records_without_outputs_pass_by_a_full_log() {
    let mut bench = Bench::new(1);
    fill(&mut bench);
    bench.commit(70_000, &[(0, Q0, "q")]);
    bench.commit(70_001, &[]);
    assert_eq!(bench.acks(), [70_000, 70_001]);
}

#[test]
fn small_changes_pass_by_a_full_log_and_leave_it_room_to_drain() {
    let mut bench = Bench::new(1);
    fill(&mut bench);
    // More than the completions' share of a segment: what they have taken comes back with a checkpoint.
    let passed = 20_000;
    for number in 0..passed {
        bench.commit_with(100_000 + number, &[], vec![Change::put(key(number), "kept")]);
        assert_eq!(bench.acks().len(), 1, "small change {number} has no room");
    }
    let bench = bench.reopen();
    assert_eq!(bench.restored.state.len() as u64, passed);
    while bench.complete_first(0) {}
    assert_eq!(bench.spool.waiting(), 0);
    bench.balance();
}

#[test]
fn a_full_log_drains_to_the_last_message() {
    let mut bench = Bench::new(1);
    let last = fill(&mut bench);
    let mut done = 0;
    while bench.complete_first(0) {
        done += 1;
    }
    assert_eq!((done, bench.acks(), bench.spool.waiting()), (last, vec![last], 0));
    bench.balance();
}

#[test]
fn a_log_that_was_full_when_the_process_died_opens_and_drains() {
    let mut bench = Bench::new(1);
    let last = fill(&mut bench);
    let bench = bench.reopen().reopen().reopen();
    assert_eq!(bench.spool.waiting() as u64, last - 1, "the one that waited was never acknowledged");
    while bench.complete_first(0) {}
    assert_eq!(bench.spool.waiting(), 0);
    bench.balance();
}

#[test]
fn a_disk_without_space_holds_records_and_resumes_by_itself_when_space_returns() {
    let mut bench = Bench::new(1);
    bench.disk.set_capacity(Some(2_500_000));
    let first = fill(&mut bench);
    retry(&bench);
    assert!(bench.acks().is_empty(), "still no space");
    bench.disk.set_capacity(None);
    retry(&bench);
    assert_eq!(bench.acks(), [first]);
}

#[test]
fn completions_are_durable_on_a_disk_without_space() {
    let mut bench = Bench::new(1);
    bench.disk.set_capacity(Some(2_500_000));
    let first = fill(&mut bench);
    assert!(bench.complete_first(0) && bench.complete_first(0));
    let bench = bench.reopen();
    assert_eq!(bench.spool.waiting() as u64, first - 3);
}

#[test]
fn a_record_larger_than_a_segment_is_refused_whole_and_counted() {
    let mut bench = Bench::new(1);
    bench.commit_with(1, &[(0, Q1, &"x".repeat(2 << 20)), (0, Q0, "q")], vec![Change::put(key(1), "kept")]);
    bench.commit(2, &[(0, Q1, "next")]);
    let acks = bench.acks();
    let refused: Vec<_> = acks.iter().filter(|ticket| bench.acks.take_refused(**ticket)).collect();
    assert_eq!((&acks[..], refused), (&[1, 2][..], vec![&1]));
    assert_eq!((bench.read(0), bench.held()), (vec!["next".to_string()], 0));
    assert_eq!((bench.counters.totals().oversize, bench.counters.totals().acknowledged_lost), (2, 0));
    bench.balance();
    assert_eq!(bench.reopen().restored.state.len(), 0, "its identity would take the next one for a repetition");
}

#[test]
fn of_a_record_that_is_too_large_and_that_nobody_waits_for_the_changes_are_kept() {
    let bench = Bench::new(1);
    let changes = vec![Change::put(key(1), "kept")];
    let outputs = vec![output(&(0, Q1, &"x".repeat(2 << 20))), output(&(0, Q0, "q"))];
    bench.spool.commit(Record { outputs, changes, ..Record::default() });
    assert_eq!((bench.read(0), bench.counters.totals().oversize), (vec!["q".to_string()], 1));
    bench.balance();
    assert_eq!(bench.reopen().restored.state.len(), 1);
}

#[test]
fn what_was_written_down_and_has_no_room_any_more_is_a_loss_and_said_to_be_one() {
    let bench = Bench::new(1);
    let unfinished = Key::Unfinished { client: "device".into(), number: 1 };
    bench.spool.commit(Record::changes(vec![Change::put(unfinished.clone(), "m")], Receipt::none()));
    let outputs = vec![output(&(0, Q1, &"x".repeat(2 << 20)))];
    bench.spool.commit(Record { outputs, changes: vec![Change::delete(unfinished)], ..Record::default() });
    let counters = &bench.counters;
    assert_eq!(
        (counters.totals().acknowledged_lost, counters.totals().never_sendable, counters.totals().oversize),
        (1, 1, 0)
    );
    bench.balance();
    assert_eq!(bench.reopen().restored.state.len(), 0);
}

/// A message of 250 KB, kept for so many subscribers and forwarded, in a log whose segments have room for a mebibyte.
fn for_subscribers(bench: &Bench, ticket: u64, subscribers: u64) {
    let long = "x".repeat(60_000);
    let topic = TopicName::parse(&format!("t/{long}")).unwrap();
    let properties = crate::message::Properties { user: vec![("u".into(), long)], ..Default::default() };
    let message = Message { properties: Some(Arc::new(properties)), ..Message::new(topic, vec![7; 250_000], Q2) };
    let queued = |number: u64| {
        let copy = Message { qos: if number.is_multiple_of(2) { Q1 } else { Q2 }, ..message.clone() };
        Change::put(key(number), Value::with_message(number.to_le_bytes().to_vec(), copy))
    };
    let elsewhere = Message { topic: TopicName::parse("up/t").unwrap(), ..message.clone() };
    let output = Output { upstream: UpstreamId(0), binding: None, message: elsewhere, arrived: Instant::now() };
    let changes = (0..subscribers).map(queued).collect();
    let receipt = Receipt::new(ticket, bench.acks.clone());
    bench.spool.commit(Record { outputs: vec![output], ..Record::changes(changes, receipt) });
}

#[test]
fn a_record_has_one_copy_of_a_message_whatever_the_number_of_subscribers() {
    let mut bench = Bench::new(1);
    for_subscribers(&bench, 1, 140);
    assert_eq!((bench.acks(), bench.read(0).len()), (vec![1], 1));
    // What is written down is read back: from the record, and then from the snapshot of the next segment.
    for _ in 0..2 {
        bench = bench.reopen();
        assert_eq!(bench.restored.state.len(), 140);
        let messages: Vec<_> = bench.restored.state.iter().map(|(_, value)| value.message().unwrap()).collect();
        let qos: Vec<_> = messages.iter().map(|message| message.qos).collect();
        assert_eq!(qos, [Q1, Q2].repeat(70));
        let same = |a: &Message, b: &Message| a.payload.as_ptr() == b.payload.as_ptr();
        assert!(messages.iter().all(|message| same(message, messages[0])), "one copy in memory as well");
        assert_eq!((messages[9].payload.len(), messages[9].topic.as_str().len()), (250_000, 60_002));
        assert_eq!(bench.restored.state[9].1.bytes()[..], 9_u64.to_le_bytes());
        assert_eq!(bench.entries(0)[0].message.payload.len(), 250_000);
    }
}

#[test]
fn messages_that_share_their_payload_are_moved_whole_when_their_segment_goes() {
    let mut bench = Bench::new(3);
    let text = "x".repeat(100_000);
    let message = message(Q1, &text);
    let outputs = (0..2).map(|upstream| Output {
        upstream: UpstreamId(upstream),
        binding: None,
        message: message.clone(),
        arrived: Instant::now(),
    });
    bench.spool.commit(Record { outputs: outputs.collect(), ..Record::default() });
    // The one that has shown the payload is done; the other refers to it.
    assert!(bench.complete_first(0));
    for ticket in 0..400 {
        bench.commit(ticket, &[(2, Q1, &"y".repeat(50_000))]);
        assert!(bench.complete_first(2));
    }
    bench.balance();
    bench = bench.reopen();
    assert_eq!((bench.read(0), bench.read(1)), (vec![], vec![text]));
    assert_eq!(bench.counters.totals().corrupt, 0);
}

#[test]
fn after_an_error_of_the_disk_nothing_is_acknowledged_any_more() {
    for fault in [Fault::Eio, Fault::Enospc] {
        let mut bench = Bench::new(1);
        bench.commit(1, &[(0, Q1, "a")]);
        bench.disk.fail_at(2, fault);
        bench.commit(2, &[(0, Q1, "b")]);
        bench.commit(3, &[(0, Q1, "c")]);
        bench.complete_first(0);
        assert!(bench.is_dead());
        assert_eq!((bench.acks(), bench.held()), (vec![1], 0));
    }
}

/// The same folder with another configuration, after the process was killed.
fn with(bench: Bench, config: config::Spool) -> Bench {
    let Bench { disk, names, spool, .. } = bench;
    drop(spool);
    disk.kill();
    Bench::open(disk, names, config).unwrap_or_else(|error| panic!("{error}"))
}

/// Of all files.
fn used(bench: &Bench) -> u64 {
    let mut used = 0;
    bench.disk.files().iter().for_each(|file| bench.disk.edit(file, |bytes| used += bytes.len() as u64));
    used
}

#[test]
fn a_limit_below_what_is_there_says_so_and_drains_and_then_takes_new_messages() {
    let large = config::Spool { max_bytes: 32 << 20, ..small() };
    let bench = Bench::open(SimDisk::default(), vec!["one"], large).unwrap();
    let text = "x".repeat(50_000);
    (0..400).for_each(|ticket| bench.commit(ticket, &[(0, Q1, &text)]));
    let mut bench = with(bench, small());
    let held = bench.spool.held();
    assert!(held.len() == 1 && held[0].reason.contains("limit of"), "{held:?}");
    assert!(held[0].advice.contains("max_bytes"), "{held:?}");
    bench.commit(1_000, &[(0, Q1, "new")]);
    assert!(bench.acks().is_empty());
    let mut done = 0;
    while bench.complete_first(0) {
        done += 1;
    }
    retry(&bench);
    while bench.complete_first(0) {
        done += 1;
    }
    assert_eq!((done, bench.acks(), bench.spool.held()), (401, vec![1_000], vec![]));
    let bench = bench.reopen();
    assert_eq!(bench.spool.waiting(), 0, "what was done is done, durably");
}

#[test]
fn a_message_larger_than_the_segments_of_a_lowered_limit_ends_no_process() {
    let large = config::Spool { max_bytes: 32 << 20, ..small() };
    let bench = Bench::open(SimDisk::default(), vec!["one", "two"], large).unwrap();
    let (long, text) = ("x".repeat(3 << 20), "y".repeat(50_000));
    bench.commit(1, &[(0, Q1, &long)]);
    (2..300).for_each(|ticket| bench.commit(ticket, &[(1, Q1, &text)]));
    let bench = with(bench, small());
    while bench.complete_first(1) {}
    bench.commit(1_000, &[(1, Q1, &text)]);
    assert!(!bench.is_dead(), "and not again at each start");
}

#[test]
fn a_disk_that_others_have_filled_before_the_start_says_so_and_what_is_there_drains() {
    let bench = Bench::new(1);
    let text = "x".repeat(50_000);
    (0..30).for_each(|ticket| bench.commit(ticket, &[(0, Q1, &text)]));
    // Less than a segment, and below the floor.
    bench.disk.set_capacity(Some(used(&bench) + 300_000));
    let mut bench = with(bench, config::Spool { free_floor: 200_000, ..small() });
    let held = bench.spool.held();
    assert!(held.len() == 1 && held[0].advice.contains("free space"), "{held:?}");
    bench.commit(100, &[(0, Q1, "new")]);
    assert!(bench.acks().is_empty());
    assert!(bench.complete_first(0) && bench.complete_first(0));
    let mut bench = with(bench, config::Spool { free_floor: 200_000, ..small() });
    assert_eq!(bench.spool.waiting(), 28, "completions are durable");
    while bench.complete_first(0) {}
    bench.disk.set_capacity(None);
    retry(&bench);
    bench.commit(101, &[(0, Q1, "new")]);
    retry(&bench);
    assert_eq!((bench.acks(), bench.spool.held()), (vec![101], vec![]));
}

#[test]
fn a_disk_without_a_byte_left_at_the_start_has_room_for_what_is_done() {
    let bench = Bench::new(1);
    let text = "x".repeat(50_000);
    (0..50).for_each(|ticket| bench.commit_with(ticket, &[(0, Q1, &text)], vec![Change::put(key(ticket % 5), "kept")]));
    bench.disk.set_capacity(Some(used(&bench)));
    let mut bench = with(bench, small());
    assert!(bench.spool.held().len() == 1, "{:?}", bench.spool.held());
    assert!(bench.complete_first(0) && bench.complete_first(0));
    bench = with(bench, small());
    assert_eq!(bench.spool.waiting(), 48, "completions are durable");
    let segments = |bench: &Bench| {
        bench.disk.files().iter().filter(|file| file.extension().is_some_and(|ending| ending == "log")).count()
    };
    let before = segments(&bench);
    while bench.complete_first(0) {}
    assert!(segments(&bench) < before, "what is done gives its space back");
    assert_eq!(bench.reopen().restored.state.len(), 5);
}

#[test]
fn a_full_spool_says_why_for_as_long_as_it_is_full() {
    let mut bench = Bench::new(1);
    assert_eq!(bench.spool.held(), []);
    fill(&mut bench);
    let held = bench.spool.held();
    assert!(held.len() == 1 && held[0].upstream.is_none() && held[0].reason.contains("full"), "{held:?}");
    while bench.complete_first(0) {}
    assert_eq!(bench.spool.held(), []);
}

#[test]
fn a_spool_over_its_limit_can_be_purged() {
    let large = config::Spool { max_bytes: 32 << 20, ..small() };
    let bench = Bench::open(SimDisk::default(), vec!["one"], large).unwrap();
    let text = "x".repeat(50_000);
    (0..400).for_each(|ticket| bench.commit(ticket, &[(0, Q1, &text)]));
    let Bench { disk, spool, .. } = bench;
    drop(spool);
    disk.kill();
    let purged = super::super::purge::purge_on(disk, Path::new(manual_driver::DIR), "one", &small());
    assert_eq!(purged.unwrap(), 400);
}
