//! Some seeds in every run of the tests, and many when they are asked for.

use std::ops::Range;

use super::plan::{ALL, Hazard, Plan};
use super::report;
use super::runner::examine;
use super::shrink::shrink;
use super::world::{Report, run, run_with_log};
use crate::base::fault::{Fault, put_back};

/// In every run of the tests.
const SEEDS: Range<u64> = 0..200;

/// Within which each fault has to be found.
const FINDS_WITHIN: u64 = 2_000;

fn seeds(default: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("TIDEGATE_SEEDS") else { return default };
    let (from, to) = text.split_once("..").unwrap_or(("0", &text));
    from.parse().unwrap()..to.parse().unwrap()
}

/// All kinds of trouble, or those that `TIDEGATE_HAZARDS` names.
fn hazards() -> Vec<Hazard> {
    match std::env::var("TIDEGATE_HAZARDS") {
        Ok(names) => {
            ALL.into_iter().filter(|hazard| names.split(',').any(|name| name == format!("{hazard:?}"))).collect()
        }
        Err(_) => ALL.to_vec(),
    }
}

/// The faults that `TIDEGATE_FAULTS` names, or all of them.
fn faults() -> Option<Vec<Fault>> {
    let names = std::env::var("TIDEGATE_FAULTS").ok()?;
    let is_asked = |fault: &Fault| names == "all" || names.split(',').any(|name| name == format!("{fault:?}"));
    Some(Fault::ALL.iter().copied().filter(is_asked).collect())
}

fn tell(plan: &Plan, report: &Report) -> String {
    format!("seed {}\n{plan:#?}\n{}\n\n{}\n", plan.seed, report.story.join("\n"), report.faults.join("\n"))
}

#[test]
fn every_promise_is_kept_whatever_fails() {
    if std::env::var_os("TIDEGATE_STORY").is_some() {
        for seed in seeds(0..1) {
            let plan = Plan::new(seed, &hazards());
            println!("{}", tell(&plan, &run_with_log(&plan)));
        }
    }
    let sum = examine(seeds(SEEDS), &hazards(), None);
    println!("{} seeds, {} obligations, {:?} of their time in {:?}", sum.seeds, sum.obligations, sum.took, sum.lasted);
    if std::env::var_os("TIDEGATE_RESULTS").is_some() {
        report::write("simulator", &report::of_seeds(&sum));
    }
    if let Some((seed, report)) = sum.failed {
        let found = report.faults.join("\n");
        let (plan, _) = shrink(Plan::new(seed, &hazards()), report);
        panic!("{}\nfound by seed {seed}:\n{found}", tell(&plan, &run_with_log(&plan)));
    }
}

/// What failed once: a torn write that was counted as a loss, a session that began anew with a message half way.
#[test]
fn seeds_that_have_failed_pass() {
    for seed in [660, 1081, 7163] {
        let report = run(&Plan::new(seed, &ALL));
        assert!(report.faults.is_empty(), "seed {seed}: {:?}", report.faults);
    }
}

/// Those that are found soon, in every run of the tests; all of them when `TIDEGATE_FAULTS=all` asks for it.
#[test]
fn a_fault_that_is_put_back_is_found() {
    let soon = [Fault::SyncOmitted, Fault::NoAckTimeout, Fault::RefusedGone, Fault::NoIsolation];
    let asked = faults();
    let mut found = Vec::new();
    for fault in asked.clone().unwrap_or(soon.to_vec()) {
        let sum = examine(0..FINDS_WITHIN, &hazards(), Some(fault));
        println!(
            "{fault:?}: {:?} of {} in {:?}",
            sum.failed.as_ref().map(|(seed, report)| (seed, &report.faults[0])),
            sum.seeds,
            sum.lasted
        );
        found.push((fault, sum));
    }
    put_back(None);
    if asked.is_some() && std::env::var_os("TIDEGATE_RESULTS").is_some() {
        report::write("faults", &report::of_faults(&found));
    }
    let missed: Vec<_> = found.iter().filter(|(_, sum)| sum.failed.is_none()).map(|(fault, _)| fault).collect();
    assert!(missed.is_empty(), "not found within {FINDS_WITHIN} seeds: {missed:?}");
}

#[test]
fn the_same_seed_is_the_same_story() {
    for seed in 0..5 {
        let stories = [(); 2].map(|()| run(&Plan::new(seed, &ALL)).story);
        assert_eq!(stories[0], stories[1]);
    }
}

/// As often as not a hazard that is drawn comes to nothing: what counts is what happened.
#[test]
fn whatever_may_go_wrong_does() {
    let sum = examine(SEEDS, &ALL, None);
    let missing: Vec<_> = super::coverage::EXPECTED.iter().filter(|what| !sum.happened.contains_key(*what)).collect();
    assert!(missing.is_empty(), "in {SEEDS:?} these never happen: {missing:?}\n{:#?}", sum.happened);
}
