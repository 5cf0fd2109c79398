//! Bytes that are not what was written: never a wrong body, never more lost than was hit, never silent.

use super::*;

/// Three segments of twenty records, closed properly.
fn written() -> (SimDisk, Seen) {
    let disk = SimDisk::default();
    let mut log = open(&disk).0;
    let mut random = Random(42);
    for _ in 0..3 {
        log.roll(Frame { kind: SNAPSHOT, body: b"snapshot" }).unwrap();
        for i in 0..20_u8 {
            append(&mut log, &[&vec![i; random.below(150) as usize]]);
        }
    }
    drop(log);
    let seen = open(&disk).2;
    assert_eq!(seen.len(), 63);
    (disk, seen)
}

fn reports(recovery: &Recovery) -> bool {
    recovery.torn_tail_bytes > 0 || !recovery.quarantined.is_empty()
}

#[test]
fn a_flipped_bit_costs_the_frame_that_it_hits_and_is_reported() {
    let (disk, before) = written();
    let mut random = Random(7);
    for case in 0..2500 {
        let path = segment(1 + random.below(3));
        let (mut at, mut bit) = (0, 0);
        disk.edit(&path, |bytes| {
            (at, bit) = (random.below(bytes.len() as u64), random.below(8));
            bytes[at as usize] ^= 1 << bit;
        });
        let (log, recovery, seen) = open(&disk);
        let lost = before.iter().filter(|frame| !seen.contains(frame)).count();
        assert!(lost <= 1 && seen.len() == before.len() - lost, "case {case}: {lost} lost");
        assert!(seen.iter().all(|frame| before.contains(frame)), "case {case}: a frame that was never written");
        assert!(lost == 0 || reports(&recovery), "case {case}: bit {bit} of byte {at} of {path:?} is lost silently");
        let read: Seen = drain(&mut log.reader(Location::START));
        assert_eq!(read, seen, "a reader sees what recovery saw");
        drop(log);
        disk.edit(&path, |bytes| bytes[at as usize] ^= 1 << bit);
    }
}

fn drain(reader: &mut Reader<SimDisk>) -> Seen {
    std::iter::from_fn(|| reader.next().unwrap()).map(|(place, kind, body)| (place, kind, body.to_vec())).collect()
}

#[test]
fn a_cut_anywhere_in_the_last_three_frames_costs_what_was_cut_off() {
    let (disk, before) = written();
    let [.., third, _, last] = &before[..] else { panic!() };
    let end = last.0.offset + record(&last.2).framed();
    let mut whole = Vec::new();
    disk.edit(&segment(3), |bytes| whole = bytes.clone());
    for cut in third.0.offset..end {
        disk.edit(&segment(3), |bytes| bytes.truncate(cut as usize));
        let (_, recovery, seen) = open(&disk);
        let left = before.iter().filter(|(place, _, body)| {
            place.segment < 3 || place.offset + (format::FRAME_BYTES + body.len()) as u64 <= cut
        });
        let whole_frames = left.cloned().collect::<Vec<_>>();
        assert!(seen.len() <= whole_frames.len() && whole_frames.len() - seen.len() <= 1, "cut at {cut}");
        assert!(before.starts_with(&seen) && reports(&recovery), "cut at {cut}");
        disk.edit(&segment(3), |bytes| bytes.clone_from(&whole));
    }
}

#[test]
fn a_tear_anywhere_in_the_last_three_frames_is_cut_at_the_next_roll() {
    let (disk, before) = written();
    let [.., third, _, last] = &before[..] else { panic!() };
    let end = last.0.offset + record(&last.2).framed();
    let mut whole = Vec::new();
    disk.edit(&segment(3), |bytes| whole = bytes.clone());
    for cut in third.0.offset + 1..end {
        disk.edit(&segment(3), |bytes| bytes[cut as usize..].fill(0));
        let (log, recovery, seen) = open(&disk);
        drop(log);
        assert!(before.starts_with(&seen) && recovery.quarantined.is_empty(), "zeros from {cut}");
        let (mut log, again, _) = open(&disk);
        assert_eq!((again.frames, again.torn_tail_bytes), (recovery.frames, recovery.torn_tail_bytes));
        if cut == end - 5 {
            log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
            drop(log);
            let (_, after, _) = open(&disk);
            assert!(!reports(&after) && after.frames == recovery.frames + 1);
            break;
        }
        drop(log);
        disk.edit(&segment(3), |bytes| bytes.clone_from(&whole));
    }
}

#[test]
fn a_destroyed_stretch_goes_to_quarantine_once_and_the_rest_is_read() {
    let (disk, before) = written();
    let hit: Vec<_> = before.iter().filter(|(place, ..)| place.segment == 2).skip(3).take(2).collect();
    let start = hit[0].0.offset;
    let end = hit[1].0.offset + record(&hit[1].2).framed();
    disk.edit(&segment(2), |bytes| bytes[start as usize..end as usize].fill(0xaa));
    let (log, recovery, seen) = open(&disk);
    assert_eq!(seen.len(), before.len() - 2);
    let file = dir().join("quarantine").join(format!("segment-2-{start}.bin"));
    let expected = Quarantined {
        segment: 2,
        offset: start,
        bytes: end - start,
        file: Some(file.clone()),
        known: false,
        was_durable: true,
    };
    assert_eq!(recovery.quarantined, std::slice::from_ref(&expected));
    disk.edit(&file, |bytes| assert_eq!(*bytes, vec![0xaa; (end - start) as usize]));
    drop(log);
    let (_, again, seen_again) = open(&disk);
    assert_eq!(again.quarantined, [Quarantined { known: true, ..expected }]);
    assert_eq!(seen_again, seen);
}

#[test]
fn a_lost_end_of_a_closed_segment_is_noticed_although_it_is_all_zeros() {
    let (disk, before) = written();
    let last = before.iter().rfind(|(place, ..)| place.segment == 2).unwrap();
    disk.edit(&segment(2), |bytes| bytes[last.0.offset as usize..].fill(0));
    let (_, recovery, seen) = open(&disk);
    assert_eq!(seen.len(), before.len() - 1);
    assert_eq!((recovery.quarantined[0].offset, recovery.quarantined[0].was_durable), (last.0.offset, true));
}

#[test]
fn a_lost_segment_is_missed() {
    let (disk, before) = written();
    disk.unlink(&segment(2)).unwrap();
    let (_, recovery, seen) = open(&disk);
    assert_eq!(recovery.missing.first(), Some(&(2..3)));
    assert_eq!(seen.len(), before.len() - 21);
}

#[test]
fn a_segment_with_a_damaged_header_keeps_its_frames() {
    for damaged in 1..=3 {
        let (disk, before) = written();
        disk.edit(&segment(damaged), |bytes| bytes[..64].fill(0));
        let (_, recovery, seen) = open(&disk);
        assert_eq!(seen, before);
        assert_eq!((recovery.quarantined[0].segment, recovery.quarantined[0].bytes), (damaged, 64));
    }
}

#[test]
fn a_damaged_identity_is_restored_from_a_segment() {
    let (disk, before) = written();
    let identity = dir().join("identity");
    for _ in 0..2 {
        disk.edit(&identity, |bytes| bytes[20] ^= 1);
        assert_eq!(open(&disk).2, before);
    }
}

#[test]
fn a_segment_of_another_spool_is_quarantined_whole() {
    let (disk, _) = written();
    let other = SimDisk::default();
    other.free_bytes(&dir()).unwrap();
    drop(fresh(&other));
    let mut foreign = Vec::new();
    other.edit(&segment(1), |bytes| foreign = bytes.clone());
    disk.edit(&segment(3), |bytes| *bytes = foreign);
    let (_, recovery, seen) = open(&disk);
    assert_eq!(seen.len(), 42);
    assert!(recovery.quarantined.iter().all(|stretch| stretch.segment == 3) && reports(&recovery));
}

#[test]
fn a_body_that_looks_like_frames_is_not_taken_for_some_when_its_own_frame_is_damaged() {
    let disk = SimDisk::default();
    let mut log = fresh(&disk);
    let mut copied = Vec::new();
    disk.edit(&segment(1), |bytes| copied = bytes[..96].to_vec());
    let body: Vec<_> = format::MARKER.into_iter().chain([0; 4]).chain(copied).collect();
    let place = append(&mut log, &[&body, b"after"])[0];
    drop(log);
    disk.edit(&segment(1), |bytes| bytes[place.offset as usize] ^= 1);
    assert_eq!(records(&open(&disk).2), [b"after"]);
}

/// Makes a file say that it is of another format, as one who writes that would.
fn set_format(disk: &SimDisk, file: &Path, format: u8) {
    disk.edit(file, |bytes| {
        bytes[8] = format;
        let check = crc32fast::hash(&[&bytes[..12], &bytes[16..64]].concat());
        bytes[12..16].copy_from_slice(&check.to_le_bytes());
    });
}

#[test]
fn a_log_of_the_format_before_is_read_and_goes_on_in_the_present_one() {
    let (disk, written) = written();
    let format = |file: &Path| {
        let mut format = 0;
        disk.edit(file, |bytes| format = u32::from(bytes[8]));
        format
    };
    let files: Vec<_> = disk.files().into_iter().filter(|file| format(file) == format::FORMAT).collect();
    files.iter().for_each(|file| set_format(&disk, file, 1));
    let (mut log, recovery, seen) = open(&disk);
    assert_eq!((records(&seen), recovery.quarantined.len()), (records(&written), 0));
    let last = log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap().segment;
    append(&mut log, &[b"now"]);
    assert_eq!((format(&segment(last - 1)), format(&segment(last))), (1, format::FORMAT));
    drop(log);
    assert_eq!(records(&open(&disk).2).last(), Some(&b"now".as_slice()));
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let (disk, _) = written();
    set_format(&disk, &segment(2), 9);
    let error = open_with(&disk, small()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "`/data/spool/segment-00000000000000000002.log` is of spool format 9, and this tidegate reads formats 1 to 3: start \
         the tidegate that wrote it, or let that one drain the spool first"
    );
}

#[test]
fn rubble_is_listed_up_to_a_limit_and_counted_beyond() {
    let disk = SimDisk::default();
    let mut log = open_with(&disk, Options { segment_bytes: 64 << 10, ..small() }).unwrap().0;
    log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
    let places: Vec<_> = (0..800).map(|_| append(&mut log, &[b"12345678"])[0]).collect();
    drop(log);
    disk.edit(&segment(1), |bytes| places.iter().step_by(2).for_each(|place| bytes[place.offset as usize] = 0));
    let (_, recovery, _) = open(&disk);
    assert_eq!((recovery.quarantined.len() as u64 + recovery.unlisted, recovery.frames), (400, 401));
    assert!(recovery.unlisted_bytes == recovery.unlisted * 32 && recovery.unlisted > 0);
}

#[test]
fn a_newest_segment_that_is_empty_or_has_lost_its_header_is_damage_and_no_crash_of_ours() {
    for cut in [0, 1, 63] {
        let (disk, before) = written();
        disk.edit(&segment(3), |bytes| bytes.truncate(cut));
        let (_, recovery, seen) = open(&disk);
        assert_eq!(seen.len(), before.len() - 21, "cut at {cut}");
        let found: Vec<_> = recovery.quarantined.iter().map(|one| (one.segment, one.offset, one.was_durable)).collect();
        assert_eq!(found, [(3, 0, true)], "cut at {cut}");
    }
    let (disk, before) = written();
    disk.edit(&segment(3), |bytes| bytes[..64].fill(0));
    let (_, recovery, seen) = open(&disk);
    assert_eq!((seen.len(), recovery.quarantined.len()), (before.len(), 1), "its frames are read all the same");
}

#[test]
fn any_segment_cut_at_any_length_is_told() {
    for number in 1..=3 {
        let mut length = 0;
        written().0.edit(&segment(number), |bytes| length = bytes.len());
        for cut in (0..length).step_by(97) {
            let (disk, before) = written();
            disk.edit(&segment(number), |bytes| bytes.truncate(cut));
            let (_, recovery, seen) = open(&disk);
            let lost = seen.len() < before.len();
            assert!(
                !lost || recovery.quarantined.iter().any(|one| one.was_durable || one.segment == 3),
                "{number} {cut}"
            );
            assert!(!lost || !recovery.quarantined.is_empty(), "segment {number} cut at {cut}");
        }
    }
}
