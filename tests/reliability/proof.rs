//! The oracle on trial: the same devices, the same upstream, the same verdict, with a stock mosquitto bridge in the gateway's place.
//! It must be found losing, or the zeros of the other tables mean nothing.

use tidegate_tests::driver::payload_of;
use tidegate_tests::fleet::Fleet;
use tidegate_tests::mosquitto::{Mosquitto, WATCHED};
use tidegate_tests::trial::{Load, Outcome};
use tidegate_tests::upstream::Upstream;

use crate::report::{Report, VERDICT};

/// More than the thousand that it queues, unless it is told otherwise.
const OUTAGE: usize = 3_000;
const BACKLOG: usize = 500;

pub fn run() -> Report {
    let title = "The oracle, shown a stock mosquitto bridge";
    let mut report = Report::new(title, &[&["fault"], VERDICT.as_slice()].concat());
    let outage = bridge(OUTAGE, false);
    report.outcome(&["an outage of its upstream, longer than its queue"], &outage);
    let crash = bridge(BACKLOG, true);
    report.outcome(&["an outage, and SIGKILL before it is over"], &crash);
    for outcome in [outage, crash] {
        assert!(!outcome.verdict.lost.is_empty(), "an oracle that sees no loss here sees none at all: {outcome:?}");
    }
    report
}

/// With the limits that it comes with, and a second between two tries.
const FORWARDS: &str = "topic load/# out 2 \"\" up/\ntry_private false\nrestart_timeout 1\n";

/// `acknowledged` while its upstream is away.
fn bridge(acknowledged: usize, killed: bool) -> Outcome {
    let upstream = Upstream::start();
    let mut bridge = Mosquitto::bridge(upstream.address(), WATCHED, FORWARDS);
    let load = Load { devices: 4, qos: vec![1, 2], ..Load::default() };
    let fleet = Fleet::start(load.habits_through(as_it_is));
    upstream.set_away(true);
    fleet.look_at(Some(bridge.address()));
    fleet.wait_for_more(acknowledged);
    if killed {
        bridge.kill();
        bridge.restart();
    }
    upstream.set_away(false);
    let log = fleet.finish();
    upstream.settle(&log.oracle);
    let crashes = usize::from(killed);
    Outcome { verdict: log.oracle.judge(&upstream.seen()), crashes, allowed: 0, forgotten_sessions: log.forgotten }
}

fn as_it_is(topic: &str, id: &str, number: usize) -> (String, String) {
    (format!("up/{topic}"), payload_of(id, number))
}
