//! Errors of the disk, and its end.

use super::*;

#[test]
fn an_append_is_one_sync() {
    let disk = SimDisk::default();
    let mut log = fresh(&disk);
    let before = disk.syncs();
    append(&mut log, &[b"a", b"b", b"c"]);
    assert_eq!(disk.syncs() - before, 1);
}

#[test]
fn the_first_append_wants_a_roll() {
    let disk = SimDisk::default();
    let mut log = open(&disk).0;
    assert!(log.must_roll(0));
    assert!(matches!(log.append(&[record(b"a")]), Err(AppendError::MustRoll)));
}

#[test]
fn a_failed_write_or_sync_is_the_end_of_the_log() {
    for call in 1..=2 {
        let disk = SimDisk::default();
        let mut log = fresh(&disk);
        append(&mut log, &[b"safe"]);
        disk.fail_at(call, Fault::Eio);
        assert!(matches!(log.append(&[record(b"never promised")]), Err(AppendError::Fatal(_))), "call {call}");
        assert!(matches!(log.append(&[record(b"late")]), Err(AppendError::Fatal(_))));
        assert!(matches!(log.roll(record(b"")), Err(AppendError::Fatal(_))));
        assert!(matches!(log.sync_now(), Err(AppendError::Fatal(_))));
        assert_eq!(log.reader(Location::START).next().unwrap().unwrap().1, SNAPSHOT);
        drop(log);
        // The process restarts on the same kernel, whose cache holds bytes that will never reach the medium.
        disk.kill();
        let (log, _, seen) = open(&disk);
        let first = records(&seen).iter().map(|body| body.to_vec()).collect::<Vec<_>>();
        drop(log);
        disk.power_cut(call);
        assert_eq!(records(&open(&disk).2), first, "what recovery showed is on the medium");
        assert_eq!(first, [b"safe"]);
    }
}

#[test]
fn a_full_disk_is_full_and_nothing_else_and_goes_on_when_space_returns() {
    let disk = SimDisk::default();
    let mut log = fresh(&disk);
    append(&mut log, &[b"a"]);
    disk.set_capacity(Some(0));
    assert!(matches!(log.roll(record(b"")), Err(AppendError::Full(Shortage::Floor { .. }))));
    append(&mut log, &[b"b, into what was preallocated"]);
    disk.set_capacity(None);
    log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
}

#[test]
fn whatever_call_of_a_roll_meets_a_full_disk_what_is_appended_afterwards_is_found() {
    for call in 1..=12 {
        let disk = SimDisk::default();
        let mut log = fresh(&disk);
        disk.fail_at(call, Fault::Enospc);
        let full = match log.roll(Frame { kind: SNAPSHOT, body: b"" }) {
            Err(AppendError::Full(Shortage::Disk)) => true,
            // After the rename nobody knows what is there, whatever the error says.
            Err(AppendError::Fatal(_)) => continue,
            Ok(_) => false,
            other => panic!("{other:?}"),
        };
        let unfinished = disk.files().iter().any(|file| file.extension().is_some_and(|end| end == "new"));
        assert!(!full || !unfinished, "call {call}: the space is given back");
        disk.no_fault();
        append(&mut log, &[b"still here"]);
        drop(log);
        disk.kill();
        assert_eq!(records(&open(&disk).2), [b"still here"], "call {call}");
    }
}

#[test]
fn what_recovery_showed_survives_a_power_cut_right_after_it() {
    for call in 1..=12 {
        for seed in 0..16 {
            let disk = SimDisk::default();
            let mut log = fresh(&disk);
            append(&mut log, &[b"a"]);
            disk.fail_at(call, Fault::Crash);
            let _ = log.append(&[record(b"b")]).and_then(|_| log.roll(Frame { kind: SNAPSHOT, body: b"c" }));
            drop(log);
            disk.kill();
            let shown = open(&disk).2;
            disk.power_cut(seed);
            assert_eq!(open(&disk).2, shown, "killed at call {call}, power cut {seed}");
        }
    }
}

#[test]
fn the_limit_leaves_a_reserve_that_only_bookkeeping_takes() {
    let disk = SimDisk::default();
    let options = Options { max_bytes: 5 * 4096, ..small() };
    let mut log = open_with(&disk, options).unwrap().0;
    let snapshot = Frame { kind: SNAPSHOT, body: b"" };
    let fill = [7; 4000];
    let full = loop {
        match log.roll(snapshot) {
            Ok(_) => drop(append(&mut log, &[&fill])),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, AppendError::Full(Shortage::Limit { .. })), "{full}");
    log.roll_reserved(snapshot, 0, 5 * 4096).unwrap();
    let mut rolls = 0;
    while log.roll_reserved(snapshot, 0, 5 * 4096).is_ok() {
        append(&mut log, &[&fill]);
        assert!(log.bytes() <= 5 * 4096);
        rolls += 1;
    }
    assert!((1..=2).contains(&rolls), "{rolls}");
    log.roll_smallest(snapshot, 0).unwrap();
    log.remove_below(log.active_segment()).unwrap();
    log.roll(snapshot).unwrap();
}

#[test]
fn what_is_free_stays_free_down_to_the_floor() {
    let disk = SimDisk::default();
    disk.set_capacity(Some(20_000));
    let mut log = open_with(&disk, Options { free_floor: 16_000, ..small() }).unwrap().0;
    let full = log.roll(record(b"")).unwrap_err();
    assert!(matches!(full, AppendError::Full(Shortage::Floor { floor: 16_000, .. })), "{full}");
    log.roll_reserved(record(b""), 0, 1 << 20).unwrap();
}

#[test]
fn a_snapshot_larger_than_a_segment_gets_a_larger_segment() {
    let disk = SimDisk::default();
    let mut log = fresh(&disk);
    let snapshot = vec![3; 50_000];
    let place = log.roll(Frame { kind: SNAPSHOT, body: &snapshot }).unwrap();
    assert!(!log.must_roll(log.max_append() as usize));
    log.remove_below(place.segment).unwrap();
    assert_eq!((log.first_segment(), log.active_segment()), (place.segment, place.segment));
    drop(log);
    assert_eq!(open(&disk).2, [(place, SNAPSHOT, snapshot)]);
}

#[test]
fn a_group_too_large_for_any_segment_is_refused_with_the_limit() {
    let disk = SimDisk::default();
    let mut log = fresh(&disk);
    let error = log.append(&[record(&[0; 4096])]).unwrap_err();
    assert_eq!(error.to_string(), "4120 bytes are too much for one append, the limit is 4096: raise `max_bytes`");
}

#[test]
fn a_restart_gives_back_what_was_preallocated() {
    let disk = SimDisk::default();
    for _ in 0..50 {
        let mut log = fresh(&disk);
        append(&mut log, &[b"one message between two restarts"]);
        drop(log);
    }
    assert!(open(&disk).0.bytes() < 50 * 200 + 4200);
}
