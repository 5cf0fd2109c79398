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
    // The best of several: two tests of the same machine.
    let best = |bench: &mut Bench| (0..5).map(|_| time(bench)).min().unwrap();
    let (free, beside) = (best(&mut free), best(&mut beside));
    assert!(beside < 2 * free, "{beside:?} beside what waits, {free:?} without");
}

#[test]
fn who_is_alone_has_all_of_it_and_who_has_neighbours_nearly_all() {
    let (mut alone, mut beside) = (Bench::new(1), Bench::new(1));
    beside.spool.divide_among(&[5]);
    let (alone, beside) = (flood(&mut alone), flood(&mut beside));
    assert!(beside < alone && beside * 4 > alone * 3, "{beside} of {alone}");
}

#[test]
fn what_an_earlier_process_left_counts_for_its_binding() {
    let mut bench = Bench::new(1);
    let taken = flood(&mut bench);
    let part = |bench: &Bench| bench.spool.shared.queue_state().part(0, &Some(FLOOD.1.into())).1;
    let before = part(&bench);
    assert!(before > taken * PAYLOAD as u64);
    let bench = bench.reopen();
    assert_eq!(part(&bench), before);
    drain(&bench);
    assert_eq!(part(&bench), 0);
}
