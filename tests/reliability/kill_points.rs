//! Every named kill point, at QoS 1 and 2: the process dies there under load, another one goes on.

use std::time::Instant;
use tidegate_tests::gateway::{Gateway, Launch};
use tidegate_tests::trial::{Load, Outcome, Trial};

/// Points that are met while a gateway starts.
const AT_START: [&str; 2] = ["spool.recovering", "spool.recovered"];

/// A spool so small that the load goes through several segments.
const SMALL: &str = "[spool]\nmax_bytes = \"16MiB\"\n\n";

pub fn run() {
    let points = points();
    println!("{points:?}");
    let only = std::env::args().nth(1);
    for point in points {
        if only.as_ref().is_some_and(|only| !point.contains(only.as_str())) {
            continue;
        }
        for qos in [1, 2] {
            if qos == 1
                && ["ingress.pubrel", "ingress.pubcomp", "egress.received_synced", "egress.pubrel", "egress.pubcomp"]
                    .contains(&point.as_str())
            {
                continue;
            }
            let t = Instant::now();
            let outcome = die_at(&point, qos);
            let v = &outcome.verdict;
            println!(
                "{point} q{qos} {:?}: owed {} lost {} rep {} dup {} wrong {} dis {} unk {} forgot {}",
                t.elapsed(),
                v.obligations,
                v.lost.len(),
                v.repeated.len(),
                v.duplicated.len(),
                v.wrong.len(),
                v.disordered.len(),
                v.unknown.len(),
                outcome.forgotten_sessions
            );
        }
    }
}

/// What the build itself says that it has.
fn points() -> Vec<String> {
    let home = std::sync::Arc::new(tidegate_tests::gateway::Home::new(""));
    let gateway = Gateway::launch(&home, &Launch::failing(""));
    let names = |line: &str| {
        line.split_once("kill points ")
            .map(|(_, names)| names.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    let points = gateway.log().find(names).expect("a build with kill points says so");
    points
}

fn die_at(point: &str, qos: u8) -> Outcome {
    let segments = point.starts_with("spool.segment");
    let padding = if segments { 20_000 } else { 0 };
    let mut trial = Trial::new(&Load { devices: 4, qos: vec![qos], padding, config: SMALL.into() });
    if AT_START.contains(&point) {
        trial.start(&Launch::default());
        trial.fleet.wait_for_more(200);
        trial.kill();
        trial.start_in_vain(&Launch::failing(&format!("{point}=return")));
        trial.start_in_vain(&Launch::failing(&format!("{point}=return")));
    } else {
        let hits = match point {
            "spool.segment_named" => 2,
            "spool.segment_done" | "spool.segment_unlinked" => 0,
            _ => 50,
        };
        trial.start(&Launch::failing(&format!("{point}={hits}*off->return")));
        trial.wait_for_death();
    }
    trial.start(&Launch::default());
    trial.judge()
}
