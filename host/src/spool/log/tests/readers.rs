//! A reader behind a writer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;

#[test]
fn a_reader_follows_through_rolls_and_starts_anywhere() {
    let disk = SimDisk::default();
    let mut log = fresh(&disk);
    let mut reader = log.reader(Location::START);
    let mut places = Vec::new();
    for i in 0..200_u8 {
        if log.must_roll(200) {
            log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
        }
        places.push(append(&mut log, &[&[i; 100]])[0]);
    }
    let mut read = Vec::new();
    while let Some((place, kind, body)) = reader.next().unwrap() {
        read.extend((kind == RECORD).then(|| (place, body[0])));
    }
    assert_eq!(read, places.iter().copied().zip(0..).collect::<Vec<_>>());
    assert!(log.active_segment() > 3);
    assert_eq!(log.reader(places[150]).next().unwrap().unwrap().0, places[150]);
    append(&mut log, &[b"new"]);
    assert_eq!(reader.next().unwrap().unwrap().2, b"new"[..]);
    assert_eq!(reader.next().unwrap(), None);
}

#[test]
fn a_reader_in_a_removed_segment_goes_on_in_the_first_that_is_left() {
    let disk = SimDisk::default();
    let mut log = fresh(&disk);
    append(&mut log, &[b"old", b"older"]);
    let mut reader = log.reader(Location::START);
    reader.next().unwrap();
    log.roll(Frame { kind: SNAPSHOT, body: b"second" }).unwrap();
    log.remove_below(2).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().2, b"second"[..]);
}

#[test]
fn a_frame_is_not_read_before_it_is_durable() {
    let disk = SimDisk::default();
    let interval = Options { sync: Sync::Interval(Duration::from_secs(1)), ..small() };
    let mut log = open_with(&disk, interval).unwrap().0;
    log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
    let mut reader = log.reader(Location::START);
    reader.next().unwrap();
    append(&mut log, &[b"a"]);
    assert_eq!(reader.next().unwrap(), None);
    log.sync_now().unwrap();
    assert_eq!(reader.next().unwrap().unwrap().2, b"a"[..]);
    append(&mut log, &[b"b"]);
    log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().2, b"b"[..], "a roll is a sync");
}

#[test]
fn a_reader_sees_only_durable_frames_while_a_writer_appends_and_rolls() {
    const FRAMES: u64 = 3000;
    let disk = SimDisk::default();
    let mut log = fresh(&disk);
    let mut reader = log.reader(Location::START);
    // Raised before an append begins: a reader may see that far at most.
    let begun = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut expected = 0_u64;
            while expected < FRAMES {
                match reader.next().unwrap() {
                    Some((_, RECORD, body)) => {
                        assert_eq!(body[..8], expected.to_le_bytes());
                        assert!(expected < begun.load(Ordering::SeqCst));
                        expected += 1;
                    }
                    Some(_) => {}
                    None => std::thread::yield_now(),
                }
            }
        });
        let mut next = 0_u64;
        while next < FRAMES {
            let bodies: Vec<_> = (next..(next + 1 + next % 5).min(FRAMES)).map(|id| id.to_le_bytes()).collect();
            next += bodies.len() as u64;
            begun.store(next, Ordering::SeqCst);
            if log.must_roll(bodies.len() * 32) {
                log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
            }
            append(&mut log, &bodies.iter().map(|body| &body[..]).collect::<Vec<_>>());
        }
    });
}
