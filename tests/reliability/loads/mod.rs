//! The table of hostile loads: what one device or one plugin can do to a gateway with default limits, and what honest devices notice of it.
//!
//! Each load runs against a gateway of its own. Four devices publish at QoS 1 through a plugin and one only pings ([`honest`]): first alone,
//! then beside the load ([`attack`]), and a new process in the same place is looked at in the end, also beside as much other work ([`measure`], [`work`]). The goals are in [`table`]: those
//! about memory and answers fail the run, those about time are said, and fail it when no busy machine explains them.

mod attack;
mod connections;
mod deliveries;
mod floods;
mod footprint;
mod honest;
mod measure;
mod plugins;
mod share;
mod subscribes;
mod table;
mod topics;
mod work;

use measure::Load;
use table::COLUMNS;

use crate::report::{self, Report};

/// What is not measured as the others are.
const SHARE: &str = "full-share";

/// In the order of the table.
fn all() -> Vec<Load> {
    let groups = [
        topics::LOADS.as_slice(),
        &connections::LOADS,
        &deliveries::LOADS,
        &subscribes::LOADS,
        &floods::LOADS,
        &plugins::LOADS,
    ];
    groups.concat()
}

pub fn names() -> Vec<&'static str> {
    all().iter().map(|load| load.name).chain([SHARE]).collect()
}

/// Those that are named.
pub fn run(named: &[&str]) {
    let (_, mut failures) = measure(|load| named.contains(&load.name));
    if named.contains(&SHARE) {
        failures.extend(share::run().1);
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// All of them. The table is written before anything fails: it says what has failed.
pub fn run_and_write() {
    let (table, mut failures) = measure(|_| true);
    let (share, failure) = share::run();
    failures.extend(failure);
    report::write(&report::LOADS, &[table, share]);
    assert!(failures.is_empty(), "{failures:#?}");
}

fn measure(is_wanted: impl Fn(&Load) -> bool) -> (Report, Vec<String>) {
    let mut report = Report::new("Hostile loads", &COLUMNS);
    let mut failures = Vec::new();
    for load in all().iter().filter(|load| is_wanted(load)) {
        let measured = load.measure();
        let row = measured.row(load);
        report.row(&row.iter().map(String::as_str).collect::<Vec<_>>());
        let failed = measured.missed().into_iter().filter(|missed| missed.is_failure());
        failures.extend(failed.map(|missed| format!("{}: {}", load.name, missed.words())));
    }
    (report, failures)
}
