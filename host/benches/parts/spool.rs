//! The spool on the disk that the target folder is on, with `sync = "group"`.
//!
//! *Commit* is until the last of a group is safe, nothing else going on. What it leaves behind is drained untimed.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use tempfile::TempDir;
use tidegate::config::{self, UpstreamId};
use tidegate::message::{Message, QoS};
use tidegate::spool::{Fate, Output, Position, Receipt, Record, Spool};
use tokio::runtime::Runtime;

use crate::shared::messages::{json, message};

const GROUPS: [usize; 4] = [1, 16, 256, 4096];

/// Of a drain and of a start. Memory holds the first tenth of it, the rest is read from the log.
const BACKLOG: usize = 200_000;

/// As much as the window of an upstream lets egress read at once.
const READ_AT_ONCE: usize = 100;

pub fn bench(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("spool");
    group.sample_size(20);
    for size in GROUPS {
        let (folder, message) = (folder(), message(&json(), QoS::AtLeastOnce));
        let spool = open(folder.path());
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new("commit", size), |bencher| {
            bencher.iter_custom(|rounds| (0..rounds).map(|_| timed_commit(&spool, &message, size)).sum());
        });
        runtime.block_on(spool.close());
    }
    group.throughput(Throughput::Elements(BACKLOG as u64));
    group.sample_size(10);
    let folder = folder();
    let message = message(&json(), QoS::AtLeastOnce);
    let spool = open(folder.path());
    group.bench_function("drain", |bencher| {
        bencher.iter_custom(|rounds| (0..rounds).map(|_| timed_drain(&spool, &message)).sum());
    });
    commit(&spool, &message, BACKLOG);
    runtime.block_on(spool.close());
    drop(spool);
    group.bench_function("open with a backlog", |bencher| {
        bencher.iter(|| runtime.block_on(open(folder.path()).close()));
    });
    group.finish();
}

fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder below target")
}

fn open(folder: &Path) -> Spool {
    let config = config::Spool { free_floor: 0, ..config::Spool::default() };
    Spool::open(folder, &["up"], &config, Arc::default()).expect("a spool").0
}

fn timed_commit(spool: &Spool, message: &Message, count: usize) -> Duration {
    let begun = Instant::now();
    commit(spool, message, count);
    let took = begun.elapsed();
    drain(spool);
    took
}

fn timed_drain(spool: &Spool, message: &Message) -> Duration {
    commit(spool, message, BACKLOG);
    let begun = Instant::now();
    drain(spool);
    begun.elapsed()
}

/// Returns when all are safe.
fn commit(spool: &Spool, message: &Message, count: usize) {
    let (safe, all) = mpsc::channel();
    for _ in 0..count {
        let safe = safe.clone();
        let output =
            Output { upstream: UpstreamId(0), binding: None, message: message.clone(), arrived: Instant::now() };
        let receipt = Receipt::call(move || safe.send(()).unwrap_or(()));
        spool.commit(Record { outputs: vec![output], receipt, ..Record::default() });
    }
    drop(safe);
    assert_eq!(all.iter().count(), count, "the spool died");
}

fn drain(spool: &Spool) {
    let queue = spool.queue(UpstreamId(0));
    let mut cursor = Position::START;
    while !queue.is_empty() {
        for entry in queue.read(cursor, READ_AT_ONCE, usize::MAX) {
            cursor = entry.position;
            queue.complete(cursor, Fate::Forwarded);
        }
        // What is not in memory is on its way from the log.
        if !queue.has_after(cursor) {
            std::thread::yield_now();
        }
    }
}
