//! Did the pipeline do what it promises? Judged from what the sink got, against the plan.

use serde::Serialize;

use super::plan::{Plan, Planned};
use super::tracker::Arrival;

/// Half of the last digit that the conversion keeps, and what binary fractions add to it.
const ROUNDING: f64 = 0.05 + 1e-9;

pub struct Evidence<'a> {
    pub plan: &'a Plan,
    pub arrivals: &'a [Arrival],
    /// What reached the sink and is no message of a device.
    pub strays: &'a [String],
    pub counts: Counts,
    /// Why the replay ended early.
    pub incident: Option<String>,
}

/// As the gateway and the devices counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Written at QoS 0, acknowledged at QoS 1 and 2.
    pub completed: u64,
    pub received: u64,
    pub filtered: u64,
    pub forwarded: u64,
}

#[derive(Debug, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub passed: bool,
    /// What was found: the first of the faults, or the numbers that agree.
    pub detail: String,
}

/// Every check, whether it passed or not.
pub fn judge(evidence: &Evidence<'_>) -> Vec<Check> {
    let Evidence { plan, arrivals, strays, counts, incident } = evidence;
    let Counts { completed, received, filtered, forwarded } = *counts;
    let ended = incident.clone().unwrap_or_else(|| format!("{completed} of {}", plan.sent()));
    let seen = seen(plan, arrivals);
    vec![
        Check::that("all was sent and acknowledged", incident.is_none() && completed == plan.sent(), ended),
        Check::that(
            "received = forwarded + filtered",
            received == plan.sent() && received == forwarded + filtered,
            format!("{received} = {forwarded} + {filtered}"),
        ),
        Check::none("0 lost", lost(plan, &seen)),
        Check::none("0 duplicated", repeated(plan, &seen)),
        Check::none("0 arrived that had to be filtered", unexpected(plan, arrivals).chain(strays.iter().cloned())),
        Check::none("every message kept its QoS", other_qos(plan, arrivals)),
        Check::none("every device's order was kept", out_of_order(plan, arrivals)),
        Check::none("every value is right", wrong_values(plan, arrivals)),
    ]
}

fn lost<'a>(plan: &'a Plan, seen: &'a [Vec<u32>]) -> impl Iterator<Item = String> + 'a {
    each(plan, seen).filter(|(_, planned, seen)| planned.expected.is_some() && *seen == 0).map(|(who, ..)| who)
}

fn repeated<'a>(plan: &'a Plan, seen: &'a [Vec<u32>]) -> impl Iterator<Item = String> + 'a {
    each(plan, seen).filter(|(.., seen)| *seen > 1).map(|(who, _, seen)| format!("{who}: {seen} times"))
}

fn unexpected<'a>(plan: &'a Plan, arrivals: &'a [Arrival]) -> impl Iterator<Item = String> + 'a {
    arrivals.iter().filter(|arrival| expected(plan, arrival).is_none()).map(|arrival| name(plan, arrival))
}

fn other_qos<'a>(plan: &'a Plan, arrivals: &'a [Arrival]) -> impl Iterator<Item = String> + 'a {
    let sent = |arrival: &Arrival| plan.devices.get(arrival.device).map(|device| device.qos);
    let kept = move |arrival: &Arrival| sent(arrival) == Some(arrival.qos) && arrival.said_qos == arrival.qos as u8;
    let tell = |arrival: &Arrival| format!("{}: came with QoS {}", name(plan, arrival), arrival.qos as u8);
    arrivals.iter().filter(move |arrival| !kept(arrival)).map(tell)
}

fn out_of_order<'a>(plan: &'a Plan, arrivals: &'a [Arrival]) -> impl Iterator<Item = String> + 'a {
    let mut last = vec![None; plan.devices.len()];
    arrivals.iter().filter_map(move |arrival| {
        let before = last.get_mut(arrival.device)?.replace(arrival.n).filter(|before| *before > arrival.n)?;
        Some(format!("{} came after {before}", name(plan, arrival)))
    })
}

fn wrong_values<'a>(plan: &'a Plan, arrivals: &'a [Arrival]) -> impl Iterator<Item = String> + 'a {
    arrivals.iter().filter_map(|arrival| {
        let expected = expected(plan, arrival)?;
        let right = arrival.value.is_some_and(|value| (value - expected).abs() <= ROUNDING);
        (!right).then(|| format!("{}: {:?} instead of {expected}", name(plan, arrival), arrival.value))
    })
}

/// How often each message arrived.
fn seen(plan: &Plan, arrivals: &[Arrival]) -> Vec<Vec<u32>> {
    let mut seen: Vec<_> = plan.devices.iter().map(|device| vec![0; device.messages.len()]).collect();
    for arrival in arrivals {
        if let Some(count) = seen.get_mut(arrival.device).and_then(|device| device.get_mut(arrival.n)) {
            *count += 1;
        }
    }
    seen
}

/// Every message of the plan by its name, with how often it arrived.
fn each<'a>(plan: &'a Plan, seen: &'a [Vec<u32>]) -> impl Iterator<Item = (String, &'a Planned, u32)> {
    let devices = plan.devices.iter().zip(seen);
    devices.flat_map(|(device, seen)| {
        let messages = device.messages.iter().zip(seen).enumerate();
        messages.map(|(n, (planned, seen))| (format!("{} message {n}", device.name), planned, *seen))
    })
}

fn expected(plan: &Plan, arrival: &Arrival) -> Option<f64> {
    plan.devices.get(arrival.device)?.messages.get(arrival.n)?.expected
}

fn name(plan: &Plan, arrival: &Arrival) -> String {
    let device = plan.devices.get(arrival.device).map_or("nobody", |device| &device.name);
    format!("{device} message {}", arrival.n)
}

// === impl Check ===

impl Check {
    fn that(name: &'static str, passed: bool, detail: String) -> Self {
        Self { name, passed, detail }
    }

    fn none(name: &'static str, mut faults: impl Iterator<Item = String>) -> Self {
        match faults.next() {
            None => Self::that(name, true, String::new()),
            Some(first) => Self::that(name, false, format!("{}, the first: {first}", faults.count() + 1)),
        }
    }
}

#[cfg(test)]
mod tests;
