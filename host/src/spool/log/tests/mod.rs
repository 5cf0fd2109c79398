//! The promises of the log, one file each. They run on the simulated file system but where the real one is the point.

use std::path::{Path, PathBuf};

use super::sim::{Fault, SimDisk};
use super::*;
use crate::config::Sync;

mod checkpoints;
mod damage;
mod faults;
mod model;
mod os;
mod readers;

const RECORD: u8 = 1;
const SNAPSHOT: u8 = 2;

type Seen = Vec<(Location, u8, Vec<u8>)>;

fn dir() -> PathBuf {
    PathBuf::from("/data/spool")
}

fn small() -> Options {
    Options { segment_bytes: 4096, max_bytes: 1 << 20, free_floor: 0, sync: Sync::Group }
}

fn open_with(disk: &SimDisk, options: Options) -> Result<(Log<SimDisk>, Recovery, Seen), OpenError> {
    let mut seen = Vec::new();
    let mut visit = |location, frame: Frame<'_>| seen.push((location, frame.kind, frame.body.to_vec()));
    let (log, recovery) = Log::open(disk.clone(), &dir(), options, &mut visit)?;
    Ok((log, recovery, seen))
}

fn open(disk: &SimDisk) -> (Log<SimDisk>, Recovery, Seen) {
    open_with(disk, small()).unwrap()
}

/// An open log with a first segment, whose snapshot is empty.
fn fresh(disk: &SimDisk) -> Log<SimDisk> {
    let mut log = open(disk).0;
    log.roll(Frame { kind: SNAPSHOT, body: b"" }).unwrap();
    log
}

fn record(body: &[u8]) -> Frame<'_> {
    Frame { kind: RECORD, body }
}

fn append(log: &mut Log<SimDisk>, bodies: &[&[u8]]) -> Vec<Location> {
    let frames: Vec<_> = bodies.iter().map(|body| record(body)).collect();
    log.append(&frames).unwrap()
}

/// Writes one of these bodies, at the end of the log.
fn checkpoint(log: &mut Log<SimDisk>, bodies: &[&[u8]]) -> Checkpoint {
    let mut writer = log.begin_checkpoint(log.end()).unwrap();
    bodies.iter().for_each(|body| writer.write(Frame { kind: SNAPSHOT, body }).unwrap());
    let written = writer.finish().unwrap();
    log.adopt(written).unwrap();
    written
}

/// The bodies of the records, without snapshots.
fn records(seen: &Seen) -> Vec<&[u8]> {
    seen.iter().filter(|(_, kind, _)| *kind == RECORD).map(|(_, _, body)| body.as_slice()).collect()
}

fn segment(number: u64) -> PathBuf {
    dir().join(format!("segment-{number:020}.log"))
}

/// xorshift, for tests that want many cases and the same ones each time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}
