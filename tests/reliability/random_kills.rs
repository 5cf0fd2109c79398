//! SIGKILL at random moments, some of them while it starts, under the load of twenty devices, which come over TCP, TLS, WebSocket and both in
//! turn; half of the kills with local stages between the plugin and the upstream.

use std::time::Duration;

use tidegate_tests::gateway::Launch;
use tidegate_tests::moments::Moments;
use tidegate_tests::trial::{Load, Trial};

use crate::report::{Report, VERDICT};

const KILLS: usize = 200;
const ACKNOWLEDGED: usize = 50_000;

/// Two thousand messages a second or so from twenty devices: more than most gateways see, and what an upstream takes.
const PAUSE: Duration = Duration::from_millis(100);

/// A restart that is slower is not what was promised.
const READY: Duration = Duration::from_secs(2);

pub fn run() -> Report {
    let mut report = Report::new("Killed at random moments", &[&["load", "kills"], VERDICT.as_slice()].concat());
    let (mut moments, mut ready) = (Moments::anew(), Vec::new());
    for (load, is_staged) in [("one binding", false), ("two local stages more", true)] {
        let mut trial = Trial::new(&Load { devices: 10, qos: vec![1, 2], pause: PAUSE, is_staged, ..Load::default() });
        ready.push(trial.start(&Launch::default()));
        let mut kills = 0;
        while kills < KILLS / 2 || trial.fleet.acknowledged() < ACKNOWLEDGED / 2 {
            kills += trial.kill_at_random(&mut moments);
            ready.push(trial.start(&Launch::default()));
        }
        let outcome = trial.judge();
        report.outcome(&[load, &kills.to_string()], &outcome);
        outcome.assert_kept(ACKNOWLEDGED / 2);
    }
    let p99 = say_times(&mut report, &mut ready);
    assert!(p99 <= READY, "restarted in {p99:?} at the 99th percentile");
    report
}

/// From the start of the process until devices could connect.
fn say_times(report: &mut Report, ready: &mut [Duration]) -> Duration {
    ready.sort_unstable();
    let at = |percent: usize| ready[(ready.len() * percent / 100).min(ready.len() - 1)];
    let [p50, p99, max] = [50, 99, 100].map(|percent| at(percent).as_millis());
    report.say(&format!(
        "From the start of the process until devices can connect, {} starts: p50 {p50} ms, p99 {p99} ms, longest {max} ms.",
        ready.len()
    ));
    at(99)
}
