//! Allocations for one message, room by room and on the whole way: `cargo bench --workspace --bench allocations`.
//!
//! | file | what is counted |
//! |---|---|
//! | `shared/work.rs` | a little work of each room in one thread, the same whose instructions are counted |
//! | [`rooms`] | the rooms that have threads: dispatcher, lane, spool; and a sender with its upstream |
//! | [`whole`] | a gateway, from a device's socket to the upstream's |
//!
//! Devices and the upstream are in this process, too; they allocate nothing once they have begun. Nothing is timed here, and so it
//! does not matter that another allocator is under the one that counts.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nobody to tell")]

mod config;
mod rooms;
#[path = "../shared/mod.rs"]
mod shared;
mod upstream;
mod whole;

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::shared::tally::{Row, Tally};
use crate::shared::work::{self, Work};

const COMMAND: &str = "cargo bench --workspace --bench allocations -- --write";

/// Of a [`Work`], so that a buffer which grows now and then counts with its share.
const ROUNDS: usize = 32;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    if let Some(code) = shared::compiler() {
        return code;
    }
    shared::plugins::build();
    let is_written = std::env::args().any(|arg| arg == "--write");
    let mut rows: Vec<Row> = work::ALL.iter().map(work).collect();
    rows.extend(rooms::rows());
    rows.extend(whole::rows());
    Tally { command: COMMAND, columns: &["allocations", "bytes"], rows }.settle(is_written)
}

fn work(work: &Work) -> Row {
    let mut round = (work.prepare)();
    round();
    row(work.name, ROUNDS * work.messages, || (0..ROUNDS).for_each(|_| round()))
}

/// What `run` allocates in all threads, for each of its messages.
fn row(name: &str, messages: usize, run: impl FnOnce()) -> Row {
    let region = Region::new(ALLOCATOR);
    run();
    let stats = region.change();
    let each = |count: usize| count as f64 / messages as f64;
    Row {
        name: name.to_owned(),
        counts: vec![each(stats.allocations + stats.reallocations), each(stats.bytes_allocated)],
    }
}
