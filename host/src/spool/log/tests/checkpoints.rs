//! Checkpoints: the newest that is whole is shown, and what it has seen of the log is missed when it is gone.

use super::*;

fn checkpoint_file(number: u64) -> PathBuf {
    dir().join(format!("checkpoint-{number:020}.state"))
}

/// What stands at segment 0: the place, and the bodies.
fn shown(seen: &Seen) -> (Option<Location>, Vec<&[u8]>) {
    let mut at_zero = seen.iter().filter(|(place, ..)| place.segment == 0);
    let place = at_zero.next().and_then(|(_, kind, body)| if *kind == CHECKPOINT { decode_place(body) } else { None });
    (place, at_zero.map(|(_, _, body)| body.as_slice()).collect())
}

/// Two checkpoints, and three segments.
fn written() -> SimDisk {
    let disk = SimDisk::default();
    let mut log = fresh(&disk);
    append(&mut log, &[b"one"]);
    checkpoint(&mut log, &[b"old", b"state"]);
    log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
    append(&mut log, &[b"two"]);
    log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
    append(&mut log, &[b"three"]);
    checkpoint(&mut log, &[b"new", b"state", b"of all"]);
    append(&mut log, &[b"four"]);
    disk
}

#[test]
fn the_newest_is_shown_before_the_frames_with_its_place() {
    let disk = written();
    let (_, recovery, seen) = open(&disk);
    let found = recovery.checkpoint.unwrap();
    assert_eq!((found.number, found.place.segment, found.is_whole), (2, 3, true));
    assert_eq!(shown(&seen), (Some(found.place), vec![&b"new"[..], b"state", b"of all"]));
    assert_eq!(records(&seen), [&b"one"[..], b"two", b"three", b"four"]);
    assert_eq!((recovery.damaged_checkpoints, recovery.missing.len()), (0, 0));
}

#[test]
fn one_that_is_cut_anywhere_is_damaged_and_the_one_before_is_shown() {
    let mut size = 0;
    written().edit(&checkpoint_file(2), |bytes| size = bytes.len());
    for cut in 0..size {
        let disk = written();
        disk.edit(&checkpoint_file(2), |bytes| bytes.truncate(cut));
        let (mut log, recovery, seen) = open(&disk);
        assert_eq!(recovery.damaged_checkpoints, 1, "cut at {cut}");
        assert_eq!(shown(&seen).1, [&b"old"[..], b"state"], "cut at {cut}");
        log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
        let next = checkpoint(&mut log, &[b"next"]);
        assert_eq!((next.number, log.checkpoints().count()), (3, 2), "cut at {cut}");
        drop(log);
        let aside = dir().join("quarantine").join(checkpoint_file(2).file_name().unwrap());
        assert!(disk.files().contains(&aside), "cut at {cut}: it is put aside, not deleted");
        assert_eq!(shown(&open(&disk).2).1, [b"next"], "cut at {cut}");
    }
}

#[test]
fn a_part_of_the_only_one_is_shown_and_called_damaged() {
    let disk = written();
    disk.unlink(&checkpoint_file(1)).unwrap();
    disk.edit(&checkpoint_file(2), |bytes| bytes.truncate(100));
    for _ in 0..2 {
        let (_, recovery, seen) = open(&disk);
        assert_eq!((shown(&seen), recovery.damaged_checkpoints), ((Some(Location::START), vec![&b"new"[..]]), 1));
    }
}

#[test]
fn a_segment_that_a_checkpoint_has_seen_is_missed_and_its_number_is_not_used_again() {
    let disk = written();
    disk.unlink(&segment(3)).unwrap();
    let (mut log, recovery, _) = open(&disk);
    assert_eq!(recovery.missing.first(), Some(&(3..4)));
    assert_eq!(log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap().segment, 4);
}

#[test]
fn an_end_that_a_checkpoint_has_seen_is_missed_also_when_zeros_stand_there() {
    let disk = written();
    let place = open(&disk).1.checkpoint.unwrap().place;
    disk.edit(&segment(3), |bytes| bytes[place.offset as usize - 8..].fill(0));
    let (_, recovery, _) = open(&disk);
    assert_eq!((recovery.quarantined.len(), recovery.quarantined[0].was_durable), (1, true));
}

#[test]
fn an_unfinished_one_is_cleared_away_and_a_crash_at_any_call_leaves_one_that_is_whole() {
    for call in 1..40 {
        for seed in 0..8 {
            let disk = written();
            let mut log = open(&disk).0;
            log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
            disk.fail_at(call, Fault::Crash);
            let written = log.begin_checkpoint(log.end()).and_then(|mut writer| {
                writer.write(Frame { kind: SNAPSHOT, body: b"third" })?;
                let third = writer.finish()?;
                log.adopt(third)
            });
            drop(log);
            disk.power_cut(seed);
            let (log, recovery, seen) = open(&disk);
            let (_, bodies) = shown(&seen);
            assert!(
                bodies == [b"third"] || bodies.len() == 3 && written.is_err(),
                "call {call}, seed {seed}: {bodies:?}"
            );
            assert_eq!((recovery.damaged_checkpoints, recovery.missing.len()), (0, 0), "call {call}, seed {seed}");
            assert!(!disk.files().iter().any(|file| file.extension().is_some_and(|ending| ending == "new")));
            drop(log);
        }
    }
}
