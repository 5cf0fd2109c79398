//! The spool is full and the devices are held: what was acknowledged until then arrives, and what was not is still the devices'. Also
//! through local stages, with records that are kept for many subscribers, and when the process is killed in that state.

use tidegate_tests::gateway::Launch;
use tidegate_tests::trial::{Load, Outcome, Trial};

use crate::report::{Report, VERDICT};

/// The smallest spool there is.
const SMALL: &str = "[spool]\nmax_bytes = \"16MiB\"\n\n";

/// Some thousand of these fill it.
const READING: usize = 4_000;

/// A few dozen of these do, each kept for all subscribers as well.
const LARGE: usize = 200_000;
const SUBSCRIBERS: usize = 140;

const KILLS: usize = 3;

pub fn run() -> Report {
    let title = "The spool is full, and then its upstream comes back";
    let mut report = Report::new(title, &[&["load", "kills while it is full"], VERDICT.as_slice()].concat());
    let plain = Load { devices: 10, qos: vec![1, 2], padding: READING, config: SMALL.into(), ..Load::default() };
    let staged = Load { is_staged: true, ..plain.clone() };
    let large = Load { devices: 2, padding: LARGE, subscribers: SUBSCRIBERS, ..plain.clone() };
    let loads = [
        ("readings", plain, 1_000),
        ("readings through two local stages", staged, 1_000),
        ("200 KB, kept for 140 subscribers that are away", large, 20),
    ];
    for (name, load, least) in loads {
        for kills in [0, KILLS] {
            let outcome = fill(&load, kills);
            report.outcome(&[name, &kills.to_string()], &outcome);
            outcome.assert_kept(least);
        }
    }
    report
}

/// Until devices are held, and killed then so often.
fn fill(load: &Load, kills: usize) -> Outcome {
    let mut trial = Trial::new(load);
    trial.upstream.set_away(true);
    for _ in 0..kills {
        trial.start(&Launch::default());
        trial.running().expect_log(&["devices are held back"]);
        trial.kill();
    }
    trial.start(&Launch::default());
    trial.running().expect_log(&["devices are held back"]);
    trial.judge()
}
