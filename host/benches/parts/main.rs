//! The parts of the gateway, one by one: `cargo bench --workspace --bench parts`.
//!
//! | file | what it times |
//! |---|---|
//! | [`codec`] | a PUBLISH from bytes and to bytes |
//! | [`trie`] | which filters match, among ten and among ten thousand |
//! | [`access`] | whether a client may publish, by how many rules there are |
//! | [`boundary`] | a call into a plugin by the size of its batch, and the same work without a plugin |
//! | [`chain`] | a chain and a lane from end to end |
//! | [`spool`] | until it is safe, by how many wait together; a drain; a start |
//!
//! What follows `--` is criterion's: a filter, `--save-baseline`, `--quick`. But `-- --write` times everything and puts the medians
//! into `docs/performance-parts.md` ([`times`]).
//!
//! Times are for reading. What must not become worse unseen is counted: `-- instructions` ([`instructions`]), and the
//! benchmark `allocations`.

#![expect(clippy::expect_used, reason = "a benchmark that cannot be set up has nobody to tell")]

mod access;
mod boundary;
mod chain;
mod codec;
mod instructions;
#[path = "../shared/mod.rs"]
mod shared;
mod spool;
mod times;
mod trie;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use criterion::Criterion;
use tidegate_tests::binary;

/// The gateway's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(code) = shared::compiler() {
        return code;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_written = args.iter().any(|arg| arg == "--write");
    match args.first().map(String::as_str) {
        Some("round") => instructions::round_of(args.get(1).map_or("", String::as_str)),
        Some("instructions") => {
            shared::plugins::build();
            instructions::run(is_written)
        }
        _ => {
            shared::plugins::build();
            time(is_written);
            ExitCode::SUCCESS
        }
    }
}

fn time(is_written: bool) {
    let (begun, folder) = (SystemTime::now(), binary::shared_folder().join("criterion"));
    let criterion = Criterion::default()
        .output_directory(&folder)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50);
    let mut criterion = if is_written { criterion } else { criterion.configure_from_args() };
    codec::bench(&mut criterion);
    trie::bench(&mut criterion);
    access::bench(&mut criterion);
    boundary::bench(&mut criterion);
    chain::bench(&mut criterion);
    spool::bench(&mut criterion);
    criterion.final_summary();
    if is_written {
        times::write(&folder, begun);
    }
}
