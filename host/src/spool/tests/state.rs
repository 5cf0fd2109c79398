//! State stands in checkpoints beside the log: it takes none of the log's room, and no amount of it keeps a spool from opening.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::log::Disk;
use super::super::log::sim::Fault;
use super::manual_driver::DIR;
use super::*;

const VALUE: usize = 10_000;

fn put(bench: &Bench, ticket: u64, value: u8) {
    bench.commit_with(ticket, &[], vec![Change::put(key(ticket), vec![value; VALUE])]);
}

fn checkpoints(bench: &Bench) -> Vec<PathBuf> {
    bench.disk.files().into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "state")).collect()
}

fn log_bytes(bench: &Bench) -> usize {
    let is_segment = |file: &&PathBuf| file.extension().is_some_and(|ending| ending == "log");
    let mut bytes = 0;
    bench.disk.files().iter().filter(is_segment).for_each(|file| bench.disk.edit(file, |all| bytes += all.len()));
    bytes
}

fn assert_state(bench: &Bench, count: u64, value: u8) {
    let expected: Vec<_> = (0..count).map(|number| (key(number), Value::from(vec![value; VALUE]))).collect();
    assert!(bench.restored.state == expected, "{} of {count} keys", bench.restored.state.len());
    assert!(!bench.restored.recovery.is_state_lost);
}

/// Thrice what the log holds.
fn with_state() -> Bench {
    let mut bench = Bench::new(1);
    for round in 0..3 {
        (0..400).for_each(|number| put(&bench, number, round));
        assert_eq!(bench.acks().len(), 400, "round {round}: every change is acknowledged");
    }
    bench
}

/// A twentieth of the log, written anew many times: two checkpoints, and the segments above the older one.
fn with_small_state() -> Bench {
    let mut bench = Bench::new(1);
    for round in 0..60 {
        (0..20).for_each(|number| put(&bench, number, round));
        assert_eq!(bench.acks().len(), 20, "round {round}: every change is acknowledged");
    }
    assert_eq!(checkpoints(&bench).len(), 2, "two stay while there is room");
    bench
}

#[test]
fn state_as_large_as_the_log_leaves_it_its_room() {
    let text = "x".repeat(50_000);
    let fill = |bench: &mut Bench| {
        let before = bench.spool.waiting();
        (0..1_000).for_each(|number| bench.commit(10_000 + number, &[(0, Q1, &text)]));
        bench.spool.shared.notify();
        let acked = bench.acks().len();
        assert!(acked < 1_000 && before == 0, "4 MiB are full at some time");
        acked
    };
    let alone = fill(&mut Bench::new(1));
    let beside = fill(&mut with_state());
    // The one segment that holds both, of three.
    assert!(beside >= alone - 20, "{beside} messages beside the state, {alone} without");
}

#[test]
fn state_beyond_the_size_of_the_log_opens_and_is_found_again() {
    let bench = with_state();
    assert!(log_bytes(&bench) <= 8 << 20, "the messages' part, and as much for the state");
    let bench = bench.reopen();
    assert_state(&bench, 400, 2);
    assert_state(&bench.reopen().reopen(), 400, 2);
}

#[test]
fn state_is_written_at_most_once_for_each_time_that_the_log_grows_by_it() {
    let bench = with_state();
    let first = checkpoints(&bench);
    // 12 MB of changes went through a log of 4 MiB.
    let number = |file: &PathBuf| file.file_stem().unwrap().to_string_lossy().trim_start_matches("checkpoint-").parse();
    let newest: u64 = first.iter().map(|file| number(file).unwrap()).max().unwrap();
    assert!((1..=16).contains(&newest), "{newest} checkpoints");
    assert!(first.len() <= 2, "{first:?}");
}

#[test]
fn a_crash_at_any_call_keeps_all_state_that_was_acknowledged() {
    for calls in (1..400).step_by(7) {
        let mut bench = Bench::new(1);
        (0..100).for_each(|number| put(&bench, number, 1));
        bench.acks();
        bench.disk.fail_at(calls, Fault::Crash);
        let mut acked = Vec::new();
        for number in 0..300 {
            put(&bench, number, 2);
            acked.extend(bench.acks());
        }
        let Bench { disk, config, names, spool, .. } = bench;
        drop(spool);
        disk.power_cut(calls);
        let bench = Bench::open(disk, names, config).unwrap();
        for number in &acked {
            let found = bench.restored.state.iter().find(|(one, _)| *one == key(*number));
            assert!(found.is_some_and(|(_, value)| value[0] == 2), "crash at call {calls}: {number} is lost or old");
        }
        assert!(bench.restored.state.len() >= 100 && !bench.restored.recovery.is_state_lost, "crash at call {calls}");
    }
}

#[test]
fn a_checkpoint_that_is_damaged_is_told_and_the_one_before_is_taken() {
    let newest = checkpoints(&with_small_state()).pop().unwrap();
    let damages: [fn(&mut Vec<u8>); 3] =
        [|bytes| bytes.truncate(0), |bytes| bytes.truncate(5_000), |bytes| bytes[6_000] ^= 1];
    for damage in damages {
        let bench = with_small_state();
        bench.disk.edit(&newest, damage);
        let bench = bench.reopen();
        assert_state(&bench, 20, 59);
        assert_eq!(bench.restored.recovery.damaged_checkpoints, 1);
    }
}

#[test]
fn with_no_checkpoint_that_is_whole_what_the_log_says_is_taken_and_the_rest_told_as_lost() {
    let bench = with_small_state();
    for file in checkpoints(&bench) {
        bench.disk.edit(&file, |bytes| bytes.truncate(5_000));
    }
    let bench = bench.reopen();
    let expected: Vec<_> = (0..20).map(|number| (key(number), Value::from(vec![59; VALUE]))).collect();
    assert!(bench.restored.state == expected, "{} keys", bench.restored.state.len());
    assert!(bench.restored.recovery.is_state_lost, "nobody can say that this is all");
    assert_eq!(bench.restored.recovery.damaged_checkpoints, 2);
    bench.spool.shared.notify();
    assert_state(&bench.reopen(), 20, 59);
}

#[test]
fn state_whose_checkpoints_are_gone_is_never_silently_empty() {
    let bench = with_state();
    checkpoints(&bench).iter().for_each(|file| bench.disk.unlink(file).unwrap());
    let bench = bench.reopen();
    assert!(bench.restored.recovery.is_state_lost);
}

#[test]
fn a_disk_without_room_for_a_checkpoint_holds_nobody_back_before_the_log_is_full() {
    let mut bench = Bench::new(1);
    (0..100).for_each(|number| put(&bench, number, 1));
    bench.disk.set_capacity(Some(3 << 20));
    (0..50).for_each(|number| put(&bench, number, 2));
    assert_eq!(bench.acks().len(), 150);
    assert!(!bench.is_dead());
}

/// The log as formats 1 and 2 wrote it: state in the first frame of each segment.
#[test]
fn a_log_with_its_state_in_segments_is_read_and_a_power_cut_in_the_upgrade_loses_nothing() {
    use super::super::log::{Frame, Log};
    for calls in 0..120 {
        let disk = SimDisk::default();
        let options = super::super::open::options(&small());
        let (mut log, _) = Log::open(disk.clone(), Path::new(DIR), options, &mut |_, _| ()).unwrap();
        for value in 1..=3_u8 {
            let state: Vec<_> = (0..20).map(|number| (key(number), bytes::Bytes::from(vec![value; VALUE]))).collect();
            let mut snapshot = bytes::BytesMut::new();
            super::super::frame::put_list(&mut snapshot, Vec::<u8>::new(), |_, _| ());
            super::super::frame::put_list(&mut snapshot, &state, |out, (key, value)| {
                key.encode(out);
                super::super::wire::put_bytes(out, value);
            });
            log.roll(Frame { kind: super::super::frame::SNAPSHOT_BEFORE_3, body: &snapshot }).unwrap();
        }
        drop(log);
        disk.kill();
        disk.fail_at(calls + 1, Fault::Crash);
        if let Ok(bench) = Bench::open(disk.clone(), vec!["one"], small()) {
            (20..200).for_each(|number| put(&bench, number, 3));
        }
        disk.power_cut(calls);
        let bench = Bench::open(disk, vec!["one"], small()).unwrap();
        let old: Vec<_> = bench.restored.state.iter().take(20).collect();
        assert_eq!(old.len(), 20, "crash at call {calls}");
        assert!(old.iter().all(|(_, value)| value[0] == 3 && value.len() == VALUE), "crash at call {calls}");
        assert!(!bench.restored.recovery.is_state_lost);
        assert_eq!(bench.reopen().restored.recovery.damaged_checkpoints, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_flipped_bit_of_the_newest_checkpoint_costs_nothing(at in 0.0..1.0_f64, bit in 0..8_u8) {
        let bench = with_small_state();
        let newest = checkpoints(&bench).pop().unwrap();
        bench.disk.edit(&newest, |bytes| {
            let at = (at * bytes.len() as f64) as usize;
            bytes[at] ^= 1 << bit;
        });
        assert_state(&bench.reopen(), 20, 59);
    }
}
