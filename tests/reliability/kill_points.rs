//! Every named kill point, at QoS 1 and 2: the process dies there under load, of which each device comes over another transport; another
//! one goes on.

use std::sync::Arc;

use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::trial::{Load, Outcome, Trial};

use crate::report::{Report, VERDICT};

/// Each case again at another moment of the load.
const HITS: [usize; 3] = [7, 50, 160];

/// In this one of them, two local stages stand between the plugin and the upstream.
const STAGED: usize = HITS[1];

/// Points that only QoS 2 meets.
const EXACTLY_ONCE_ONLY: [&str; 5] =
    ["ingress.pubrel", "ingress.pubcomp", "egress.received_synced", "egress.pubrel", "egress.pubcomp"];

/// Points that need an upstream which refuses, takes QoS 0 alone, or sends, a device with a will, an archive that is full, or a reload;
/// `tests/e2e/upstream_faults`, `tests/e2e/commands`, `tests/e2e/sessions/wills.rs`, `tests/e2e/dead_letters.rs` and `tests/e2e/reload` kill there.
const ELSEWHERE: [&str; 13] = [
    "egress.letter_filed",
    "egress.proven",
    "egress.subscription_granted",
    "egress.message_read",
    "egress.message_acked",
    "egress.message_pubrel",
    "egress.message_pubcomp",
    "ingress.will_due",
    "archive.carried",
    "reload.prepared",
    "reload.table",
    "reload.rules",
    "reload.done",
];

/// Points that a gateway meets while it starts.
const AT_START: [&str; 2] = ["spool.recovering", "spool.recovered"];

/// Points that are met once for each segment, or for each checkpoint, which follows it: of the first few megabytes of the load.
const BY_SEGMENT: [&str; 8] = [
    "spool.segment_named",
    "spool.segment_done",
    "spool.segment_unlinked",
    "spool.checkpoint_begun",
    "spool.checkpoint_synced",
    "spool.checkpoint_named",
    "spool.checkpoint_durable",
    "spool.checkpoint_retired",
];

/// The smallest spool there is, so that segments come and go.
const SMALL: &str = "[spool]\nmax_bytes = \"16MiB\"\n\n";
const PADDING: usize = 20_000;

pub fn run() -> Report {
    let mut report =
        Report::new("Killed at each named point", &[&["point", "QoS", "crashes"], VERDICT.as_slice()].concat());
    let points = points();
    assert!(points.len() >= 20, "a list that has become short: {points:?}");
    for point in points.iter().filter(|point| !ELSEWHERE.contains(&point.as_str())) {
        let qos: &[u8] = if EXACTLY_ONCE_ONLY.contains(&point.as_str()) { &[2] } else { &[1, 2] };
        for qos in qos {
            let outcome = HITS.map(|hits| die_at(point, *qos, hits)).into_iter().reduce(Outcome::and);
            let outcome = outcome.expect("more than one moment");
            report.outcome(&[point, &qos.to_string(), &outcome.crashes.to_string()], &outcome);
            outcome.assert_kept(1);
        }
    }
    report
}

/// What the build itself says that it has: a point that is added there is killed at here.
fn points() -> Vec<String> {
    let home = Arc::new(Home::new(""));
    let gateway = Gateway::launch(&home, &Launch::failing(""));
    let words = |line: &str| line.split_once("kill points ").map(|(_, words)| words.to_owned());
    let words = gateway.log().find(words).expect("a build with kill points names them");
    words.split_whitespace().map(str::to_owned).collect()
}

/// Fails when nobody dies there.
fn die_at(point: &str, qos: u8, hits: usize) -> Outcome {
    if AT_START.contains(&point) {
        return die_twice_at_start(point, qos, hits);
    }
    let (is_staged, by_segment) = (hits == STAGED, BY_SEGMENT.contains(&point));
    let padding = if by_segment { PADDING } else { 0 };
    // 1, 2 and 4: some files get their names when a process starts, the others under load.
    let hits = if by_segment { hits % 6 } else { hits };
    let load = Load { devices: 4, qos: vec![qos], padding, is_staged, config: SMALL.into(), ..Load::default() };
    let mut trial = Trial::new(&load);
    trial.start_and_die(&Launch::failing(&at(point, hits)));
    trial.start(&Launch::default());
    trial.judge()
}

/// A crash, a crash of the recovery from it, and a crash of the recovery from that one.
fn die_twice_at_start(point: &str, qos: u8, load: usize) -> Outcome {
    let mut trial =
        Trial::new(&Load { devices: 4, qos: vec![qos], padding: PADDING, config: SMALL.into(), ..Load::default() });
    trial.start(&Launch::default());
    trial.fleet.wait_for_more(load);
    trial.kill();
    trial.start_in_vain(&Launch::failing(&at(point, 0)));
    trial.start_in_vain(&Launch::failing(&at(point, 0)));
    trial.start(&Launch::default());
    trial.judge()
}

fn at(point: &str, hits: usize) -> String {
    format!("{point}={hits}*off->return")
}
