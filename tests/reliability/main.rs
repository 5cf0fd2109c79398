//! What the reliability report rests on. `cargo test --workspace --test reliability` runs all of it, prints what it finds, and writes
//! the results into `docs/reliability.md`; `-- kill-points power-cuts` runs these alone and writes nothing.
//!
//! `-- loads` runs and writes the table of hostile loads, which is not among them: it measures, and wants the machine for itself. `-- wills
//! filters` runs these loads and writes nothing.
//!
//! The process ends with the first promise that was broken.

mod full_spool;
mod kill_points;
mod loads;
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

/// All hostile loads, and their table.
const LOADS: &str = "loads";

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let (parts, loads) = (PARTS.map(|(name, _)| name), loads::names());
    let is_known = |name: &str| name == LOADS || parts.contains(&name) || loads.contains(&name);
    if let Some(unknown) = wanted.iter().find(|name| !is_known(name)) {
        panic!("no part `{unknown}`; there are {parts:?}, `{LOADS}`, and its parts {loads:?}");
    }
    if wanted.is_empty() || wanted.iter().any(|name| parts.contains(name)) {
        run_parts(&wanted);
    }
    match wanted.contains(&LOADS) {
        true => loads::run_and_write(),
        false if wanted.iter().any(|name| loads.contains(name)) => loads::run(&wanted),
        false => {}
    }
}

fn run_parts(wanted: &[&str]) {
    // Before anything runs: the builds take turns in one place.
    tidegate_tests::binary::with_kill_points();
    let parts = PARTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    let reports: Vec<Report> = parts.map(|(_, run)| run()).collect();
    if wanted.is_empty() {
        report::write(&report::RESULTS, &reports);
    }
}
