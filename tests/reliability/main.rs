//! What the reliability report rests on. `cargo test --workspace --test reliability` runs all of it, prints what it finds, and writes
//! the results into `docs/reliability.md`; `-- kill-points power-cuts` runs these alone and writes nothing.
//!
//! The process ends with the first promise that was broken.

mod full_spool;
mod kill_points;
mod power_cuts;
mod proof;
mod random_kills;
mod report;

use report::Report;

/// In the order of the report.
const PARTS: [(&str, fn() -> Report); 5] = [
    ("proof", proof::run),
    ("kill-points", kill_points::run),
    ("random-kills", random_kills::run),
    ("full-spool", full_spool::run),
    ("power-cuts", power_cuts::run),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|name| !PARTS.iter().any(|(part, _)| part == name)) {
        panic!("no part `{unknown}`; there are {:?}", PARTS.map(|(name, _)| name));
    }
    // Before anything runs: the builds take turns in one place.
    tidegate_tests::binary::with_kill_points();
    let parts = PARTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name));
    let reports: Vec<Report> = parts.map(|(_, run)| run()).collect();
    if wanted.is_empty() {
        report::write(&reports);
    }
}
