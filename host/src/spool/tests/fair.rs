//! Several bindings with one upstream that is away, of which one brings all that it can.

use super::*;

const PAYLOAD: usize = 20_000;

/// Of a binding, which is known by its number and by its name.
fn commit(bench: &Bench, (id, name): (usize, &str), upstream: usize, ticket: u64) {
    let message = message(Q1, &format!("{ticket:0>PAYLOAD$}"));
    let binding = Some(name.into());
    let output = Output { upstream: UpstreamId(upstream), binding, message, arrived: Instant::now() };
    let (receipt, bindings) = (Receipt::new(ticket, bench.acks.clone()), [BindingId(id)].into_iter().collect());
    bench.spool.commit(Record { outputs: vec![output], receipt, bindings, ..Record::default() });
}

const FLOOD: (usize, &str) = (1, "flood");
const HONEST: (usize, &str) = (2, "honest");

/// Until one has to wait. How many did not.
fn flood(bench: &mut Bench) -> u64 {
    for ticket in 1..1_000 {
        commit(bench, FLOOD, 0, ticket);
        if bench.acks().is_empty() {
            return ticket - 1;
        }
    }
    panic!("never full");
}

fn drain(bench: &Bench) -> usize {
    std::iter::from_fn(|| bench.complete_first(0).then_some(())).count()
}

#[test]
fn a_binding_that_fills_a_share_waits_and_others_go_on() {
    for upstreams in [1, 2] {
        let mut bench = Bench::new(upstreams);
        bench.spool.divide_among(&[2]);
        let taken = flood(&mut bench);
        for ticket in 1_001..=1_005 {
            commit(&bench, HONEST, 0, ticket);
        }
        assert_eq!(bench.acks(), (1_001..=1_005).collect::<Vec<_>>(), "{upstreams}");
        let held = bench.spool.held();
        assert_eq!(held.len(), 1, "{held:?}");
        assert!(held[0].reason.contains("binding flood"), "{held:?}");
        assert!(drain(&bench) as u64 >= taken + 5);
        assert_eq!((bench.acks(), bench.spool.held()), (vec![taken + 1], vec![]));
        bench.balance();
    }
}

/// How long it takes to write for the second upstream.
fn time(bench: &mut Bench) -> std::time::Duration {
    let start = Instant::now();
    for ticket in 0..200 {
        commit(bench, HONEST, 1, 50_000 + ticket);
        assert_eq!(bench.acks().len(), 1);
        assert!(bench.complete_first(1));
    }
    start.elapsed()
}

#[test]
fn thousands_of_records_that_wait_cost_the_other_upstreams_no_time() {
    let (mut free, mut beside) = (Bench::new(2), Bench::new(2));
    flood(&mut free);
    flood(&mut beside);
    (0..8_000).for_each(|ticket| commit(&beside, FLOOD, 0, 2_000 + ticket));
    // The best of several, by turns: two tests of the same machine at the same time.
    let times: Vec<_> = (0..8).map(|_| (time(&mut free), time(&mut beside))).collect();
    let best = |of: fn(&(std::time::Duration, std::time::Duration)) -> std::time::Duration| {
        times.iter().map(of).min().unwrap()
    };
    let (free, beside) = (best(|pair| pair.0), best(|pair| pair.1));
    assert!(beside < 2 * free, "{beside:?} beside what waits, {free:?} without");
}

#[test]
fn who_is_alone_has_all_of_it_and_who_has_neighbours_nearly_all() {
    let (mut alone, mut beside) = (Bench::new(1), Bench::new(1));
    beside.spool.divide_among(&[5]);
    let (alone, beside) = (flood(&mut alone), flood(&mut beside));
    assert!(beside < alone && beside * 4 > alone * 3, "{beside} of {alone}");
}

fn part(bench: &Bench, binding: (usize, &str)) -> u64 {
    bench.spool.shared.queue_state().part(0, &Some(binding.1.into())).1
}

#[test]
fn what_an_earlier_process_left_counts_for_its_binding() {
    let mut bench = Bench::new(1);
    let taken = flood(&mut bench);
    let before = part(&bench, FLOOD);
    assert!(before > taken * PAYLOAD as u64);
    let bench = bench.reopen();
    assert_eq!(part(&bench, FLOOD), before);
    drain(&bench);
    assert_eq!(part(&bench, FLOOD), 0);
}

/// More than is read back at a start.
#[test]
fn what_is_only_in_the_log_counts_for_its_binding_too() {
    let config = config::Spool { max_bytes: 96 << 20, ..small() };
    let bench = Bench::open(SimDisk::default(), vec!["one"], config).unwrap();
    (0..1_500).for_each(|ticket| commit(&bench, FLOOD, 0, ticket));
    (0..500).for_each(|ticket| commit(&bench, HONEST, 0, 2_000 + ticket));
    let before = [FLOOD, HONEST].map(|binding| part(&bench, binding));
    let is_near = |bench: &Bench, expected: [u64; 2]| {
        let parts = [FLOOD, HONEST].map(|binding| part(bench, binding));
        assert!(
            parts.iter().zip(expected).all(|(part, before)| part.abs_diff(before) < (1 << 20)),
            "{parts:?}, {expected:?}"
        );
    };
    let bench = bench.reopen();
    is_near(&bench, before);
    (0..1_200).for_each(|_| assert!(bench.complete_first(0)));
    is_near(&bench, [before[0] / 5, before[1]]);
    let bench = bench.reopen();
    is_near(&bench, [before[0] / 5, before[1]]);
    drain(&bench);
    assert_eq!([FLOOD, HONEST].map(|binding| part(&bench, binding)), [0, 0]);
}

#[test]
fn after_restarts_with_a_full_small_spool_who_left_nothing_has_its_part() {
    for upstreams in [1, 2] {
        let mut bench = Bench::new(upstreams);
        bench.spool.divide_among(&[2]);
        let taken = flood(&mut bench);
        for round in 0..4 {
            bench = bench.reopen();
            bench.spool.divide_among(&[2]);
            commit(&bench, FLOOD, 0, 2_000);
            assert!(bench.acks().is_empty(), "{upstreams}: it has its part, and more");
            for ticket in 1_001..=1_002 {
                commit(&bench, HONEST, 0, 10 * round + ticket);
                assert_eq!(bench.acks(), [10 * round + ticket], "{upstreams}, {round}: {:?}", bench.spool.held());
            }
        }
        assert!(drain(&bench) as u64 >= taken + 8, "{upstreams}");
        assert_eq!((bench.acks(), bench.spool.held()), (vec![2_000], vec![]));
        bench.balance();
    }
}

/// Several in one write, of which the segment has no room for all.
#[test]
fn the_last_part_is_taken_to_its_end() {
    let mut bench = Bench::new(1);
    bench.spool.divide_among(&[2]);
    flood(&mut bench);
    let mut bench = bench.reopen();
    bench.spool.divide_among(&[2]);
    for ticket in 1_001..=1_030 {
        let text = format!("{ticket:0>PAYLOAD$}");
        let output = Output { binding: Some(HONEST.1.into()), ..output(&(0, Q1, &*text)) };
        let (receipt, bindings) = (Receipt::new(ticket, bench.acks.clone()), [BindingId(2)].into_iter().collect());
        let record = Record { outputs: vec![output], receipt, bindings, ..Record::default() };
        bench.spool.shared.queue_state().commit(record);
    }
    bench.spool.shared.tell();
    let taken = bench.acks();
    assert!(taken.len() > 5 && taken.len() < 30, "{taken:?}");
    assert_eq!(taken, (1_001..1_001 + taken.len() as u64).collect::<Vec<_>>());
}

fn texts(bench: &Bench, binding: (usize, &str)) -> Vec<u64> {
    let entries = bench.entries(0).into_iter().map(|entry| entry.position.number).collect::<Vec<_>>();
    let peeked = bench.spool.queue(UpstreamId(0)).peek(Position::START, ALL, ALL);
    assert_eq!(entries.len(), peeked.len());
    let of = peeked.iter().filter(|entry| entry.binding.as_deref() == Some(binding.1));
    of.map(|entry| String::from_utf8_lossy(&entry.message.payload).parse().unwrap()).collect()
}

#[test]
fn where_the_oldest_go_those_of_a_binding_over_its_part_are_first() {
    let policy = config::Spool { when_full: config::WhenFull::DropOldest, ..small() };
    for upstreams in [1, 2] {
        let mut bench = Bench::open(SimDisk::default(), NAMES[..upstreams].to_vec(), policy.clone()).unwrap();
        bench.spool.divide_among(&[2]);
        for round in 0..400 {
            if round % 40 == 0 {
                commit(&bench, HONEST, 0, 5_000 + round);
            }
            commit(&bench, FLOOD, 0, round);
        }
        assert_eq!(bench.acks().len(), 410, "nobody waits");
        bench.balance();
        assert!(bench.counters.totals().dropped_full > 200);
        let bench = bench.reopen();
        assert_eq!(texts(&bench, HONEST), (0..10).map(|round| 5_000 + 40 * round).collect::<Vec<_>>(), "{upstreams}");
        let left = texts(&bench, FLOOD);
        assert!(left.is_sorted() && left.len() > 10 && left.ends_with(&[398, 399]), "{left:?}");
    }
}

/// The shelf has the honest ones alone.
#[test]
fn what_goes_of_a_binding_may_be_only_in_the_log() {
    let config = config::Spool { max_bytes: 64 << 20, when_full: config::WhenFull::DropOldest, ..small() };
    let mut bench = Bench::open(SimDisk::default(), vec!["one"], config).unwrap();
    bench.spool.divide_among(&[2]);
    (0..900).for_each(|ticket| commit(&bench, HONEST, 0, ticket));
    (0..4_000).for_each(|ticket| commit(&bench, FLOOD, 0, 1_000 + ticket));
    assert_eq!(bench.acks().len(), 4_900);
    bench.balance();
    let dropped = bench.counters.totals().dropped_full;
    let mut seen = Vec::new();
    while let Some(entry) = bench.spool.queue(UpstreamId(0)).peek(Position::START, 1, ALL).pop() {
        seen.push(String::from_utf8_lossy(&entry.message.payload).parse::<u64>().unwrap());
        bench.spool.queue(UpstreamId(0)).complete(entry.position, Fate::Forwarded);
    }
    assert_eq!(seen.iter().filter(|number| **number < 900).count(), 900, "{dropped} were dropped");
    assert!(dropped > 1_000 && seen.is_sorted());
}
