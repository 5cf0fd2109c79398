//! `cargo test --release -p tidegate spool::log::tests::bench -- --ignored --nocapture`: figures, no verdict.

use std::time::Instant;

use super::*;

const BODY: usize = 256;

fn open_at(dir: &Path) -> (Log<OsDisk>, Recovery) {
    Log::open(OsDisk, dir, Options { free_floor: 0, ..Options::default() }, &mut |_, _| {}).unwrap()
}

fn fill(log: &mut Log<OsDisk>, group: usize, groups: usize) -> f64 {
    let body = [7; BODY];
    let frames = vec![record(&body); group];
    let bytes = frames.iter().map(Frame::framed).sum::<u64>() as usize;
    let started = Instant::now();
    for _ in 0..groups {
        if log.must_roll(bytes) {
            log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
        }
        log.append(&frames).unwrap();
    }
    (group * groups) as f64 / started.elapsed().as_secs_f64()
}

#[test]
#[ignore = "a measurement"]
fn appends_and_scans_in_figures() {
    for (group, groups) in [(1, 3000), (16, 3000), (256, 2000)] {
        let dir = tempfile::tempdir().unwrap();
        let rate = fill(&mut open_at(dir.path()).0, group, groups);
        println!("append, group of {group:>3}: {rate:>9.0} frames/s, {:>7.1} us a group", group as f64 / rate * 1e6);
    }
    let dir = tempfile::tempdir().unwrap();
    fill(&mut open_at(dir.path()).0, 1024, 1024);
    let (log, recovery) = open_at(dir.path());
    let mib = (log.bytes() >> 20) as f64;
    println!(
        "recovery: {mib} MiB, {} frames in {:?}: {:.0} MiB/s",
        recovery.frames,
        recovery.took,
        mib / recovery.took.as_secs_f64()
    );
    let (started, mut reader) = (Instant::now(), log.reader(Location::START));
    let mut frames = 0;
    while reader.next().unwrap().is_some() {
        frames += 1;
    }
    println!(
        "reader: {frames} frames in {:?}: {:.1} M frames/s",
        started.elapsed(),
        f64::from(frames) / started.elapsed().as_secs_f64() / 1e6
    );
}
