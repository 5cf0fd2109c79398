//! A plan that fails, made smaller as long as it fails.

use super::plan::Plan;
use super::world::{Report, run};

/// Runs that may be spent on it.
const RUNS: usize = 300;

/// The smallest plan that was found to fail, and how it went.
pub fn shrink(plan: Plan, report: Report) -> (Plan, Report) {
    let kind = kind_of(&report);
    let (mut best, mut runs) = ((plan, report), 0);
    loop {
        let mut is_smaller = false;
        for candidate in smaller(&best.0) {
            runs += 1;
            if runs > RUNS {
                return best;
            }
            let report = run(&candidate);
            if kind_of(&report) == kind {
                best = (candidate, report);
                is_smaller = true;
                break;
            }
        }
        if !is_smaller {
            return best;
        }
    }
}

/// The first words of its first fault: another one would be another story.
fn kind_of(report: &Report) -> Option<String> {
    let words = report.faults.first()?.split_whitespace().take(2);
    Some(words.collect::<Vec<_>>().join(" "))
}

/// Each with one part less, the large parts first.
fn smaller(plan: &Plan) -> Vec<Plan> {
    let mut plans = Vec::new();
    let without = |change: &dyn Fn(&mut Plan)| {
        let mut plan = plan.clone();
        change(&mut plan);
        plan
    };
    for device in (0..plan.devices.len()).filter(|_| plan.devices.len() > 1) {
        // A trouble that is its own goes with it: indices shift.
        plans.push(without(&|plan| {
            plan.devices.remove(device);
            plan.troubles.retain(|trouble| !trouble.what.is_of_device());
        }));
    }
    for subscriber in 0..plan.subscribers.len() {
        plans.push(without(&|plan| {
            plan.subscribers.remove(subscriber);
            plan.troubles.retain(|trouble| !trouble.what.is_of_device());
        }));
    }
    for keeper in 0..plan.keepers.len() {
        plans.push(without(&|plan| _ = plan.keepers.remove(keeper)));
    }
    for mortal in 0..plan.mortals.len() {
        plans.push(without(&|plan| _ = plan.mortals.remove(mortal)));
    }
    for trouble in 0..plan.troubles.len() {
        plans.push(without(&|plan| _ = plan.troubles.remove(trouble)));
    }
    for parts in [2, 4, 8] {
        for (device, part) in (0..plan.devices.len()).flat_map(|device| (0..parts).map(move |part| (device, part))) {
            let count = all_but_last(plan, device);
            let (from, to) = (count * part / parts, count * (part + 1) / parts);
            if count > parts && from < to {
                plans.push(without(&|plan| drop(plan.devices[device].sendings.drain(from..to))));
            }
        }
    }
    for device in 0..plan.devices.len() {
        let count = all_but_last(plan, device);
        for one in (0..count).filter(|_| count <= 8) {
            plans.push(without(&|plan| _ = plan.devices[device].sendings.remove(one)));
        }
    }
    plans
}

/// The last message of a device says that it lives on.
fn all_but_last(plan: &Plan, device: usize) -> usize {
    plan.devices[device].sendings.len().saturating_sub(1)
}
