//! The archive over restarts, and at its bounds.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::letter::letter;
use super::*;
use crate::base::clock::EARLIEST_PLAUSIBLE_MS;
use crate::config::DeadLetters;
use crate::metrics::Counters;
use crate::spool::Intervals;
use crate::spool::log::sim::SimDisk;

const MIB: u64 = 1 << 20;

fn open(dir: &Path, spool: u128, max_bytes: u64) -> (Archive, Arc<Counters>) {
    let counters = Arc::<Counters>::default();
    let config = DeadLetters { max_bytes, ..config() };
    (Archive::open(dir, &config, Some(spool), counters.clone()).unwrap(), counters)
}

fn config() -> DeadLetters {
    DeadLetters { max_bytes: 16 * MIB, max_age: Duration::from_secs(60), max_message_bytes: 256 << 10 }
}

fn numbered(numbers: std::ops::RangeInclusive<u64>, payload: &str) -> Vec<(u64, Bytes)> {
    numbers.map(|number| (number, letter("b", &format!("{payload}{number}")).encode())).collect()
}

/// As a command sees it.
fn seen(dir: &Path) -> Vec<(u64, String)> {
    let view = View::read(dir, &mut |_, _| {}).unwrap();
    let mut seen = Vec::new();
    let mut visit = |id, letter: DeadLetter| {
        seen.push((id, String::from_utf8(letter.message.payload.to_vec()).unwrap()));
        true
    };
    view.letters(dir, &mut |_, _| {}, &mut visit).unwrap();
    seen
}

#[test]
fn a_letter_that_comes_again_after_a_crash_is_archived_once() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), 1, 16 * MIB).0.append(&numbered(1..=3, "x"), 0).unwrap();
    let (mut archive, _) = open(dir.path(), 1, 16 * MIB);
    archive.append(&numbered(2..=4, "x"), 0).unwrap();
    assert_eq!(seen(dir.path()), [(1, "x1".into()), (2, "x2".into()), (3, "x3".into()), (4, "x4".into())]);
}

#[test]
fn a_new_spool_counts_from_the_beginning_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), 1, 16 * MIB).0.append(&numbered(1..=2, "old"), 0).unwrap();
    let (mut archive, _) = open(dir.path(), 2, 16 * MIB);
    archive.append(&numbered(1..=1, "new"), 0).unwrap();
    assert_eq!(seen(dir.path()).last(), Some(&(3, "new1".into())));
}

#[test]
fn what_is_purged_and_what_is_marked_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (mut archive, _) = open(dir.path(), 1, 16 * MIB);
    archive.append(&numbered(1..=4, "x"), 0).unwrap();
    assert_eq!(archive.purge(&Filter { ids: vec![2], ..Filter::default() }).unwrap(), 1);
    assert_eq!(archive.mark(&Filter { ids: vec![2, 3], ..Filter::default() }).unwrap(), 1, "2 is gone");
    drop(archive);
    let (mut archive, _) = open(dir.path(), 1, 16 * MIB);
    let marked = archive.next_marked(0, 10).unwrap();
    assert_eq!(marked.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [3]);
    let ids = archive.marked().clone();
    archive.remove(&ids).unwrap();
    assert!(archive.marked().is_empty());
    assert_eq!(seen(dir.path()).iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 4]);
}

#[test]
fn the_oldest_go_when_it_is_full_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut archive, counters) = open(dir.path(), 1, 8 * MIB);
    let payload = "x".repeat(100 << 10);
    for number in 1..=200 {
        archive.append(&numbered(number..=number, &payload), 0).unwrap();
    }
    let left = seen(dir.path());
    assert_eq!(left.last().map(|(id, _)| *id), Some(200));
    assert_eq!(left.len() as u64 + counters.dead_letters_dropped.get(), 200);
    assert_eq!(archive.letters(), left.len() as u64);
    assert!(left.len() > 40, "{} of 8 MiB are used", left.len());
    assert!(View::read(dir.path(), &mut |_, _| {}).unwrap().found.bytes <= 8 * MIB);
}

#[test]
fn marks_larger_than_the_smallest_segment_have_room_in_a_full_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (mut archive, _) = open(dir.path(), 1, 4 * MIB);
    let mut every_second = Intervals::default();
    (0..8_000).for_each(|id| every_second.insert(2 * id));
    for round in 0..60 {
        archive.unmark(&every_second).unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
}

#[test]
fn a_letter_that_never_fits_is_given_back_and_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut archive, _) = open(dir.path(), 1, 4 * MIB);
    assert_eq!(archive.append(&numbered(1..=1, &"x".repeat(2 << 20)), 0).unwrap(), [1]);
    assert_eq!(archive.append(&numbered(2..=2, "small"), 0).unwrap(), [0; 0]);
    assert_eq!(seen(dir.path()).len(), 1);
}

#[test]
fn a_letter_that_never_fits_is_not_filed_and_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut archive, counters) = open(dir.path(), 1, 4 * MIB);
    let letters = [letter("b", "one"), letter("b", &"x".repeat(2 << 20)), letter("b", "two")];
    let filed = archive.file(&letters, 0).unwrap();
    assert_eq!((filed.are_kept, filed.shortage), (vec![true, false, true], None));
    assert_eq!((archive.letters(), counters.dead_letters_archived.get()), (2, 2));
}

#[test]
fn a_letter_larger_than_a_segment_has_one_of_its_own_again_and_again_and_the_archive_stays_within_its_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let (mut archive, _) = open(dir.path(), 1, 16 * MIB);
    for round in 0..8 {
        let large = letter("b", &"x".repeat(5 << 20));
        assert_eq!(archive.file(&[large, letter("b", "small")], 0).unwrap().are_kept, [true, true], "round {round}");
        assert!(View::read(dir.path(), &mut |_, _| {}).unwrap().found.bytes <= 16 * MIB, "round {round}");
    }
    let kept = archive.letters();
    drop(archive);
    assert_eq!(open(dir.path(), 1, 16 * MIB).0.letters(), kept);
    assert!(seen(dir.path()).iter().any(|(_, payload)| payload.len() == 5 << 20));
}

#[test]
fn a_disk_that_becomes_full_in_the_middle_of_a_batch_makes_no_letter_twice() {
    let (disk, dir) = (SimDisk::default(), Path::new("/data/dead-letters"));
    let (config, counters) = (DeadLetters { max_bytes: 16 * MIB, ..config() }, Arc::<Counters>::default());
    let mut archive = Archive::open_on(disk.clone(), dir, &config, Some(1), counters.clone()).unwrap();
    disk.set_capacity(Some(3 << 19));
    let payload = "x".repeat(100_000);
    let letters: Vec<_> = (0..15).map(|number| letter("b", &format!("{number}-{payload}"))).collect();
    let mut rest = &letters[..];
    let filed = archive.file(rest, 0).unwrap();
    assert!(!filed.are_kept.is_empty() && filed.shortage.is_some(), "{filed:?}");
    rest = &rest[filed.are_kept.len()..];
    assert!(archive.file(rest, 0).unwrap().are_kept.is_empty());
    assert_eq!(archive.letters(), filed.are_kept.len() as u64);
    disk.set_capacity(None);
    assert_eq!(archive.file(rest, 0).unwrap().are_kept.len(), rest.len());
    assert_eq!((archive.letters(), counters.dead_letters_archived.get()), (15, 15));
    drop(archive);
    disk.kill();
    assert_eq!(Archive::open_on(disk, dir, &config, Some(1), counters).unwrap().letters(), 15);
}

#[test]
fn the_largest_message_has_room_with_all_that_there_is_to_say_about_it() {
    let dir = tempfile::tempdir().unwrap();
    let max_message_bytes = 8 * MIB;
    let (max_bytes, max_age) = (DeadLetters::least_bytes(max_message_bytes), Duration::from_secs(60));
    let config = DeadLetters { max_bytes, max_age, max_message_bytes };
    let mut archive = Archive::open(dir.path(), &config, Some(1), Arc::default()).unwrap();
    let mut largest = letter("b", &"x".repeat(8 << 20));
    largest.metadata.client = "c".repeat(u16::MAX.into());
    archive.file(&[largest.clone(), largest], 0).unwrap();
    assert!(archive.letters() > 0);
}

#[test]
fn letters_that_are_too_old_go_also_from_the_segment_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let (mut archive, counters) = open(dir.path(), 1, 16 * MIB);
    let archived = EARLIEST_PLAUSIBLE_MS;
    archive.append(&numbered(1..=3, "x"), archived).unwrap();
    archive.expire(archived + 60_000).unwrap();
    assert_eq!((archive.letters(), counters.dead_letters_dropped.get()), (3, 0));
    archive.expire(archived + 60_001).unwrap();
    assert_eq!((archive.letters(), counters.dead_letters_dropped.get(), seen(dir.path()).len()), (0, 3, 0));
}

#[test]
fn letters_that_an_earlier_version_has_archived_in_1970_are_not_too_old() {
    let dir = tempfile::tempdir().unwrap();
    let (mut archive, _) = open(dir.path(), 1, 16 * MIB);
    archive.append(&numbered(1..=3, "x"), 5_000).unwrap();
    archive.expire(EARLIEST_PLAUSIBLE_MS + 61_000).unwrap();
    assert_eq!(archive.letters(), 3);
}

#[test]
fn restarts_without_new_letters_take_no_space() {
    let dir = tempfile::tempdir().unwrap();
    for number in 1..=3 {
        open(dir.path(), 1, 16 * MIB).0.append(&numbered(number..=number, "x"), 0).unwrap();
        drop(open(dir.path(), 1, 16 * MIB));
    }
    assert_eq!(View::read(dir.path(), &mut |_, _| {}).unwrap().found.segments, 3);
}

/// What a client has said, and which number it has in the spool.
fn of_client(client: &str, number: u64, payload: &str) -> (u64, Bytes) {
    let mut letter = letter("b", payload);
    letter.metadata.client = client.into();
    (number, letter.encode())
}

#[test]
fn a_flood_of_one_device_leaves_the_letters_of_others_under_their_ids_also_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let (mut archive, mut counters) = open(dir.path(), 1, 8 * MIB);
    for number in 1..=5 {
        archive.append(&[of_client("quiet", number, &format!("quiet {number}"))], 0).unwrap();
    }
    let (payload, mut dropped) = ("x".repeat(100 << 10), 0);
    for number in 6..=300 {
        archive.append(&[of_client("loud", number, &payload)], 0).unwrap();
        if number % 90 == 0 {
            dropped += counters.dead_letters_dropped.get();
            drop(archive);
            (archive, counters) = open(dir.path(), 1, 8 * MIB);
        }
    }
    dropped += counters.dead_letters_dropped.get();
    let seen = seen(dir.path());
    let quiet: Vec<_> = seen.iter().filter(|(_, payload)| payload.starts_with("quiet")).cloned().collect();
    let expected: Vec<_> = (1..=5).map(|id| (id, format!("quiet {id}"))).collect();
    assert_eq!(quiet, expected, "each once, under the id that it had");
    assert_eq!((seen.len() as u64 + dropped, archive.letters()), (300, seen.len() as u64));
    assert!(seen.len() > 40 && seen.iter().any(|(id, _)| *id == 300), "{} of 8 MiB are used", seen.len());
    assert!(View::read(dir.path(), &mut |_, _| {}).unwrap().found.bytes <= 8 * MIB);

    // What was taken along can be sent again, and removed, as any other.
    archive.mark(&Filter { ids: vec![3, 300], ..Filter::default() }).unwrap();
    let marked: Vec<_> = archive.next_marked(0, 10).unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(marked, [3, 300], "the lowest first, wherever it stands");
    assert_eq!(archive.next_marked(4, 1).unwrap().len(), 1);
    assert_eq!(archive.purge(&Filter { ids: vec![2, 3], ..Filter::default() }).unwrap(), 2);
    drop(archive);
    assert_eq!(open(dir.path(), 1, 8 * MIB).0.letters(), seen.len() as u64 - 2);
}

#[test]
fn letters_that_are_taken_along_survive_a_power_cut_at_any_time() {
    let (disk, dir) = (SimDisk::default(), Path::new("/data/dead-letters"));
    let config = DeadLetters { max_bytes: 4 * MIB, ..config() };
    let open = || Archive::open_on(disk.clone(), dir, &config, Some(1), Arc::default()).unwrap();
    let mut archive = open();
    archive.append(&[of_client("quiet", 1, "quiet")], 0).unwrap();
    let payload = "x".repeat(60 << 10);
    for number in 2..=400 {
        archive.append(&[of_client("loud", number, &payload)], 0).unwrap();
        if number % 7 == 0 {
            drop(archive);
            disk.power_cut(number);
            archive = open();
        }
    }
    archive.mark(&Filter { ids: vec![1], ..Filter::default() }).unwrap();
    assert_eq!(archive.next_marked(0, 9).unwrap().len(), 1);
}

#[test]
fn what_is_too_old_is_not_taken_along() {
    let dir = tempfile::tempdir().unwrap();
    let (mut archive, _) = open(dir.path(), 1, 4 * MIB);
    archive.append(&[of_client("quiet", 1, "quiet")], EARLIEST_PLAUSIBLE_MS).unwrap();
    for number in 2..=100 {
        let (loud, now_ms) = (of_client("loud", number, &"x".repeat(100 << 10)), EARLIEST_PLAUSIBLE_MS + 60_001);
        archive.append(&[loud], now_ms).unwrap();
    }
    assert!(seen(dir.path()).iter().all(|(_, payload)| payload != "quiet"));
}
