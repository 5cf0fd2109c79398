//! Some seeds in every run of the tests, and many when they are asked for.

use std::ops::Range;

use super::plan::{ALL, Hazard, Plan};
use super::shrink::shrink;
use super::world::{Report, run, run_with_log};

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

fn tell(plan: &Plan, report: &Report) -> String {
    format!("seed {}\n{plan:#?}\n{}\n\n{}\n", plan.seed, report.story.join("\n"), report.faults.join("\n"))
}

fn examine(seeds: Range<u64>, hazards: &[Hazard]) {
    let begun = std::time::Instant::now();
    let (mut obligations, mut took, count) = (0, std::time::Duration::ZERO, seeds.end - seeds.start);
    for seed in seeds {
        let plan = Plan::new(seed, hazards);
        let report = run(&plan);
        obligations += report.obligations;
        took += report.took;
        if std::env::var_os("TIDEGATE_STORY").is_some() {
            println!("{}", tell(&plan, &report));
        }
        if !report.faults.is_empty() {
            let found = report.faults.join("\n");
            let (plan, _) = shrink(plan, report);
            let report = run_with_log(&plan);
            panic!("{}\nfound by seed {seed}:\n{found}", tell(&plan, &report));
        }
    }
    println!("{count} seeds, {obligations} obligations, {took:?} of their time in {:?}", begun.elapsed());
}

#[test]
fn every_promise_is_kept_whatever_fails() {
    examine(seeds(0..200), &hazards());
}

#[test]
fn the_same_seed_is_the_same_story() {
    for seed in 0..5 {
        let stories = [(); 2].map(|()| run(&Plan::new(seed, &ALL)).story);
        assert_eq!(stories[0], stories[1]);
    }
}
