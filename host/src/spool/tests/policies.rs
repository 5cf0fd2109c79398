//! Too much of it: shares, what is compacted, what goes, and that the queue state says so.

use std::time::Duration;

use super::*;
use crate::config::{Qos0, WhenFull};

const PAYLOAD: usize = 50_000;

fn open(upstreams: usize, policy: config::Spool) -> Bench {
    Bench::open(SimDisk::default(), NAMES[..upstreams].to_vec(), policy).unwrap()
}

/// Its number, and weight.
fn heavy(number: u64) -> String {
    format!("{number:0>PAYLOAD$}")
}

fn numbers(bench: &Bench, upstream: usize) -> Vec<u64> {
    bench.read(upstream).iter().map(|text| text.parse().unwrap()).collect()
}

/// Of a binding of its own.
fn commit_alone(bench: &Bench, ticket: u64, outputs: &[(usize, QoS, &str)]) {
    commit_in(bench, BindingId(1_000 + ticket as usize), ticket, outputs);
}

fn commit_in(bench: &Bench, binding: BindingId, ticket: u64, outputs: &[(usize, QoS, &str)]) {
    let outputs = outputs.iter().map(output).collect();
    let receipt = Receipt::new(ticket, bench.acks.clone());
    bench.spool.commit(Record { outputs, receipt, bindings: [binding].into_iter().collect(), ..Record::default() });
}

/// Commits until one is not acknowledged. Returns its ticket.
fn fill(bench: &mut Bench, upstream: usize, from: u64) -> u64 {
    for ticket in from..from + 1000 {
        bench.commit(ticket, &[(upstream, Q1, &heavy(ticket))]);
        if bench.acks().is_empty() {
            return ticket;
        }
    }
    panic!("never full");
}

fn drain(bench: &Bench, upstream: usize) -> Vec<u64> {
    let mut seen = Vec::new();
    while let Some(entry) = bench.spool.queue(UpstreamId(upstream)).read(Position::START, 1, ALL).pop() {
        seen.push(String::from_utf8_lossy(&entry.message.payload).parse().unwrap());
        bench.spool.queue(UpstreamId(upstream)).complete(entry.position, Fate::Forwarded);
        bench.balance();
    }
    seen
}

#[test]
fn an_upstream_that_is_away_holds_back_its_own_and_many_times_the_log_goes_past_it() {
    let mut bench = open(2, small());
    let held = fill(&mut bench, 0, 1);
    for ticket in 10_000..10_400 {
        commit_alone(&bench, ticket, &[(1, Q1, &heavy(ticket))]);
        assert_eq!(bench.acks(), [ticket], "20 MB through a log of 4 MiB");
        assert!(bench.complete_first(1));
    }
    bench.balance();
    assert_eq!(numbers(&bench, 0), (1..held).collect::<Vec<_>>());
    let mut bench = bench.reopen();
    assert_eq!((bench.restored.recovery.lost, bench.restored.recovery.waiting), (0, held - 1));
    bench.commit(20_000, &[(0, Q1, "20000")]);
    assert_eq!(drain(&bench, 0), (1..held).chain([20_000]).collect::<Vec<_>>(), "moved, and in order");
    assert_eq!(bench.acks(), [20_000]);
}

/// Each start leaves a small segment: what is kept for the state alone is less than the state, and never enough for a checkpoint.
#[test]
fn segments_that_were_compacted_one_by_one_go_also_beside_a_large_state() {
    let mut bench = open(2, small());
    for number in 0..200 {
        bench.commit_with(number, &[], vec![Change::put(key(number), vec![7; 10_000])]);
    }
    bench.acks();
    for round in 0..40 {
        bench.commit(10_000 + round, &[(0, Q1, &round.to_string())]);
        assert_eq!(bench.acks(), [10_000 + round], "one upstream is away");
        for ticket in 0..6 {
            commit_alone(&bench, ticket, &[(1, Q1, &heavy(ticket))]);
            assert_eq!(bench.acks(), [ticket], "round {round}: the other one takes everything");
            assert!(bench.complete_first(1));
        }
        bench = bench.reopen();
    }
    assert_eq!((numbers(&bench, 0), bench.restored.state.len()), ((0..40).collect(), 200));
}

#[test]
fn a_record_for_two_upstreams_waits_for_both_and_what_follows_in_its_binding_waits_behind_it() {
    let mut bench = open(2, small());
    let held = fill(&mut bench, 0, 1);
    let (fan_out, other) = (BindingId(1), BindingId(2));
    commit_in(&bench, fan_out, 5001, &[(0, Q1, &heavy(5001)), (1, Q1, "a")]);
    commit_in(&bench, fan_out, 5002, &[(1, Q1, "b")]);
    commit_in(&bench, other, 5003, &[(1, Q1, "c")]);
    assert_eq!((bench.acks(), bench.read(1)), (vec![5003], vec!["c".into()]));
    while bench.acks.is_empty() {
        assert!(bench.complete_first(0));
    }
    while bench.complete_first(0) {}
    assert_eq!((bench.acks(), bench.read(1)), (vec![held, 5001, 5002], vec!["c".into(), "a".into(), "b".into()]));
    bench.balance();
}

fn change(bench: &Bench, ticket: u64, change: Change) {
    let receipt = Receipt::new(ticket, bench.acks.clone());
    bench.spool.commit(Record::changes(vec![change], receipt));
}

fn received(packet_id: u16) -> Key {
    Key::Qos2 { source: Source::Devices, client: "device".into(), packet_id }
}

#[test]
fn changes_alone_pass_a_full_share_but_not_the_held_message_that_they_are_about() {
    let mut bench = open(2, small());
    let held = fill(&mut bench, 0, 1);
    bench.commit_with(5001, &[(0, Q2, &heavy(5001))], vec![Change::put(received(1), "q")]);
    change(&bench, 5002, Change::put(received(2), "q"));
    change(&bench, 5003, Change::delete(received(1)));
    change(&bench, 5004, Change::put(Key::Session { client: "other".into() }, "s"));
    assert_eq!(bench.acks(), [5002, 5004]);
    while bench.complete_first(0) {}
    assert_eq!(bench.acks(), [held, 5001, 5003]);
    let left: Vec<Key> = bench.reopen().restored.state.into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, [received(2), Key::Session { client: "other".into() }], "no identity is left over");
}

/// Their archive may be without room: they fill the log as anybody, and neither make room nor become too old.
#[test]
fn dead_letters_have_no_share_and_are_never_dropped_for_messages() {
    let policy = config::Spool { when_full: WhenFull::DropOldest, max_age: Some(Duration::ZERO), ..small() };
    let names = vec!["one", DEAD_LETTERS];
    let mut bench = Bench::open(SimDisk::default(), names, config::Spool { max_age: None, ..policy.clone() }).unwrap();
    for ticket in 1..=20 {
        commit_alone(&bench, ticket, &[(1, Q1, &heavy(ticket))]);
    }
    for ticket in 21..=200 {
        bench.commit(ticket, &[(0, Q1, &heavy(ticket))]);
    }
    assert_eq!(bench.acks(), (1..=200).collect::<Vec<_>>());
    assert!(bench.counters.totals().dropped_full > 0);
    bench.balance();
    bench.config = policy;
    let bench = bench.reopen();
    bench.balance();
    assert_eq!(numbers(&bench, 1), (1..=20).collect::<Vec<_>>());
    assert_eq!(bench.counters.dead_letters_dropped.get(), 0);
}

#[test]
fn the_oldest_go_in_whole_segments_and_only_what_was_not_sent() {
    for upstreams in [1, 2] {
        let mut bench = open(upstreams, config::Spool { when_full: WhenFull::DropOldest, ..small() });
        for ticket in 1..=3 {
            bench.commit(ticket, &[(0, Q1, &heavy(ticket))]);
        }
        assert_eq!(bench.spool.queue(UpstreamId(0)).read(Position::START, 2, ALL).len(), 2, "two are sent");
        for ticket in 4..=400 {
            bench.commit(ticket, &[(0, Q1, &heavy(ticket))]);
        }
        assert_eq!(bench.acks().len(), 400, "nobody waits");
        bench.balance();
        let dropped = bench.counters.totals().dropped_full;
        let left: Vec<u64> = [1, 2].into_iter().chain(dropped + 3..=400).collect();
        assert!(dropped > 300 && dropped < 396, "{dropped} dropped");
        assert_eq!(numbers(&bench, 0), left);
        let bytes: usize = bench
            .disk
            .files()
            .iter()
            .map(|file| {
                let mut len = 0;
                bench.disk.edit(file, |bytes| len = bytes.len());
                len
            })
            .sum();
        assert!(bytes <= 5 << 20, "{bytes} bytes on the disk");
        let bench = bench.reopen();
        assert_eq!(drain(&bench, 0), left);
        assert_eq!(bench.reopen().spool.waiting(), 0);
    }
}

#[test]
fn what_is_too_old_goes_with_its_segment_and_is_counted() {
    let policy = config::Spool { max_age: Some(Duration::from_secs(60)), max_bytes: 64 << 20, ..small() };
    let mut bench = open(1, policy);
    let long_ago = Instant::now() - Duration::from_secs(100);
    for number in 0..400 {
        let arrived = if number < 350 { long_ago } else { Instant::now() };
        let output = Output {
            upstream: UpstreamId(0),
            binding: None,
            message: message(Q1, &format!("{number:0>50000}")),
            arrived,
        };
        bench.spool.commit(Record { outputs: vec![output], ..Record::default() });
    }
    bench = bench.reopen();
    bench.spool.shared.notify();
    let expired = bench.counters.totals().expired;
    assert!(expired > 300 && expired <= 350, "{expired} of 350: the rest shares a segment with younger ones");
    assert_eq!(numbers(&bench, 0), (expired..400).collect::<Vec<_>>());
    bench.balance();
    let queue = bench.spool.queue(UpstreamId(0));
    assert!(
        queue.is_fresh(Duration::from_secs(59)) && !queue.is_fresh(Duration::from_secs(60)),
        "the rest is judged when it is sent"
    );
    drop(queue);
    let bench = bench.reopen();
    assert_eq!(bench.spool.waiting() as u64, 400 - expired, "that they are gone is durable");
}

#[test]
fn qos_0_in_the_spool_is_in_order_outlives_a_restart_and_is_acknowledged_before_the_disk() {
    let mut bench = open(1, config::Spool { qos0: Qos0::Spool, ..small() });
    bench.commit(1, &[(0, Q1, "a")]);
    bench.commit(2, &[(0, Q0, "q")]);
    bench.commit(3, &[(0, Q1, "b")]);
    assert_eq!((bench.acks(), bench.read(0)), (vec![1, 2, 3], vec!["a".into(), "q".into(), "b".to_string()]));
    bench.disk.fail_at(1, super::super::log::sim::Fault::Eio);
    bench.commit(4, &[(0, Q0, "r")]);
    assert_eq!((bench.acks(), bench.is_dead()), (vec![4], true));
    let bench = bench.reopen();
    assert_eq!(bench.read(0)[..3], ["a", "q", "b"]);
    while bench.complete_first(0) {}
    bench.balance();
    assert_eq!(bench.reopen().spool.waiting(), 0);
}

#[test]
fn qos_0_in_the_spool_never_crowds_out_the_others() {
    for when_full in [WhenFull::BackPressure, WhenFull::DropQos0First, WhenFull::DropOldest] {
        let mut bench = open(1, config::Spool { qos0: Qos0::Spool, when_full, ..small() });
        for ticket in 1..=200 {
            bench.commit(ticket, &[(0, Q0, &heavy(ticket))]);
        }
        assert_eq!(bench.acks().len(), 200);
        bench.balance();
        let dropped = bench.counters.totals().dropped_full;
        assert!(dropped > 100, "{dropped} of 10 MB dropped, {when_full:?}");
        for ticket in 1001..=1015 {
            bench.commit(ticket, &[(0, Q1, &heavy(ticket))]);
            assert_eq!(bench.acks(), [ticket], "{when_full:?}");
        }
        let seen = drain(&bench, 0);
        assert!(seen.is_sorted() && seen.ends_with(&(1001..=1015).collect::<Vec<_>>()), "{when_full:?}");
        bench.balance();
    }
}

#[test]
fn an_upstream_that_is_not_configured_has_a_share_and_can_be_purged() {
    let mut bench = open(2, small());
    fill(&mut bench, 1, 1);
    let Bench { disk, config, spool, .. } = bench;
    drop(spool);
    disk.kill();
    let mut bench = Bench::open(disk, vec!["one"], config).unwrap();
    let orphan = bench.restored.recovery.orphaned[0].clone();
    assert!(orphan.upstream == "two" && orphan.bytes > orphan.messages * PAYLOAD as u64, "{orphan:?}");
    let with_orphan = fill(&mut bench, 0, 1);
    let Bench { disk, config, spool, .. } = bench;
    drop(spool);
    for expected in [orphan.messages, 0] {
        disk.kill();
        assert_eq!(purge::purge_on(disk.clone(), manual_driver::DIR.as_ref(), "two", &config).unwrap(), expected);
    }
    disk.kill();
    let mut bench = Bench::open(disk, vec!["one"], config).unwrap();
    assert_eq!(bench.restored.recovery.orphaned, []);
    let more = fill(&mut bench, 0, with_orphan + 1);
    assert!(more > with_orphan + 10, "its share is free");
    bench.balance();
}
