//! A log that is not as we left it: what is lost is counted, what is left is delivered, and nothing waits for ever.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// The first segment with more in it than its snapshot.
fn segment(bench: &Bench, number: u64) -> PathBuf {
    let name = format!("segment-{number:020}.log");
    bench.disk.files().into_iter().find(|file| file.ends_with(&name)).expect("a segment")
}

fn flip(bench: &Bench, needle: &str) {
    bench.disk.edit(&segment(bench, 1), |bytes| {
        let at = bytes.windows(needle.len()).position(|window| window == needle.as_bytes()).expect("it is in the log");
        bytes[at] ^= 1;
    });
}

#[test]
fn a_damaged_record_is_counted_and_the_others_are_delivered_under_their_own_numbers() {
    let bench = Bench::new(1);
    for (ticket, text) in [(1, "alpha"), (2, "beta"), (3, "gamma")] {
        bench.commit(ticket, &[(0, Q1, text)]);
    }
    flip(&bench, "beta");
    let bench = bench.reopen();
    assert_eq!(bench.read(0), ["alpha", "gamma"]);
    assert_eq!(bench.entries(0)[1].position.number, 3);
    assert_eq!(
        (bench.restored.recovery.lost, bench.restored.recovery.quarantined, bench.counters.totals().corrupt),
        (1, 1, 1)
    );
    bench.commit(4, &[(0, Q1, "delta")]);
    assert_eq!(bench.entries(0)[2].position.number, 4);
    while bench.complete_first(0) {}
    let bench = bench.reopen();
    assert_eq!((bench.spool.waiting(), bench.restored.recovery.lost), (0, 0), "the lost number holds up nothing");
}

#[test]
fn damage_that_appears_while_running_is_counted_when_the_backlog_comes_to_it() {
    let config = config::Spool { max_bytes: 256 << 20, ..small() };
    let bench = Bench::open(SimDisk::default(), vec!["one"], config).unwrap();
    for number in 0..3000 {
        bench.commit(number, &[(0, Q1, &format!("number {number:0>16000}"))]);
    }
    flip(&bench, &format!("number {:0>16000}", 1500));
    let mut seen = 0;
    while bench.complete_first(0) {
        seen += 1;
    }
    assert_eq!((seen, bench.counters.totals().corrupt, bench.spool.waiting()), (2999, 1, 0));
    bench.balance();
}

#[test]
fn an_upstream_that_is_not_configured_keeps_its_messages() {
    let bench = Bench::new(2);
    bench.commit(1, &[(0, Q1, "a"), (1, Q1, "b")]);
    let Bench { disk, config, spool, .. } = bench;
    drop(spool);
    disk.kill();
    let bench = Bench::open(disk, vec!["three", "one"], config).unwrap();
    assert_eq!((bench.read(0), bench.read(1)), (vec![], vec!["a".to_string()]));
    let orphaned = &bench.restored.recovery.orphaned;
    assert_eq!((orphaned.len(), &*orphaned[0].upstream, orphaned[0].messages), (1, "two", 1));
    let Bench { disk, config, spool, .. } = bench;
    drop(spool);
    disk.kill();
    let bench = Bench::open(disk, vec!["two"], config).unwrap();
    assert_eq!(bench.read(0), ["b"]);
}

/// Several records in one write; the power goes before it is synced, and leaves any sectors of it.
fn torn(seed: u64) -> Bench {
    let bench = Bench::new(2);
    bench.commit(1, &[(0, Q1, "first"), (1, Q1, "first")]);
    bench.disk.fail_at(2, super::super::log::sim::Fault::Crash);
    for ticket in 2..=9 {
        let text = format!("{ticket:0>700}");
        let outputs = vec![output(&(ticket as usize % 2, Q1, &*text))];
        let receipt = Receipt::new(ticket, bench.acks.clone());
        bench.spool.shared.queue_state().commit(Record { outputs, receipt, ..Record::default() });
    }
    bench.spool.shared.tell();
    let Bench { disk, config, names, spool, acks, .. } = bench;
    drop(spool);
    assert_eq!((acks.try_next(), acks.try_next()), (Some(1), None), "no other was promised");
    disk.power_cut(seed);
    Bench::open(disk, names, config).unwrap()
}

#[test]
fn what_is_missing_in_a_torn_write_was_promised_to_nobody_and_is_not_lost() {
    let has_gap = |bench: &Bench, upstream| {
        let entries = bench.entries(upstream);
        entries.windows(2).any(|pair| pair[1].position.number > pair[0].position.number + 1)
    };
    let mut gaps = 0;
    for seed in 0..100 {
        let mut bench = torn(seed);
        gaps += (0..2).filter(|upstream| has_gap(&bench, *upstream)).count();
        for _ in 0..2 {
            let lost = (bench.restored.recovery.lost, bench.counters.totals().acknowledged_lost);
            assert_eq!(lost, (0, 0), "seed {seed}: {:?}", bench.restored.recovery);
            bench.commit(10, &[(0, Q1, "after"), (1, Q1, "after")]);
            bench = bench.reopen();
        }
    }
    assert!(gaps > 20, "{gaps} writes of 200 are torn in the middle");
}

#[test]
fn a_loss_beside_a_torn_write_is_counted() {
    for seed in 0..100 {
        let bench = torn(seed);
        flip(&bench, "first");
        let bench = bench.reopen();
        assert!(bench.restored.recovery.lost >= 2, "seed {seed}: {:?}", bench.restored.recovery);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Three segments of messages and state; one bit of any of them is not as it was.
    #[test]
    fn a_flipped_bit_loses_one_record_at_most_and_is_told(at in 0.0..1.0_f64, bit in 0..8_u8) {
        let mut bench = Bench::new(1);
        for round in 0..3_u64 {
            for number in 0..10 {
                let ticket = round * 10 + number;
                bench.commit_with(ticket, &[(0, Q1, &ticket.to_string())], vec![Change::put(key(ticket), "v")]);
            }
            bench = bench.reopen();
        }
        let first = segment(&bench, 1).parent().unwrap().to_path_buf();
        let segments: Vec<_> = (1..=3).map(|number| first.join(format!("segment-{number:020}.log"))).collect();
        let mut length = 0;
        segments.iter().for_each(|file| bench.disk.edit(file, |bytes| length += bytes.len()));
        let mut at = (at * length as f64) as usize;
        for file in &segments {
            bench.disk.edit(file, |bytes| {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                    at = usize::MAX;
                } else if at != usize::MAX {
                    at -= bytes.len();
                }
            });
        }
        let bench = bench.reopen();
        let (read, report) = (bench.read(0), &bench.restored.recovery);
        prop_assert_eq!(read.len() as u64 + report.lost, 30, "{:?}", report);
        prop_assert!(report.lost <= 1);
        prop_assert!(read.windows(2).all(|pair| pair[0].parse::<u64>().unwrap() < pair[1].parse().unwrap()));
        prop_assert!(bench.restored.state.len() as u64 + report.lost >= 30);
    }
}
