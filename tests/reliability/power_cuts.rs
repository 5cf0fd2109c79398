//! The power is cut under load: exactly what was synced survives. Shown on a real ext4, whose device stops hearing anything in
//! the middle of it, and proved by a gateway whose `fdatasync` does nothing: that one must lose.

use tidegate_tests::gateway::Launch;
use tidegate_tests::mounted::{Mounted, Reason};
use tidegate_tests::trial::{Load, Outcome, Trial};

use crate::report::{Report, VERDICT};

const CUTS: usize = 10;

/// The build with kill points, told to lie.
const LIE: &str = "disk.sync_is_a_lie=return";

/// Acknowledged between two cuts.
const BETWEEN: usize = 300;

pub fn run() -> Report {
    let mut report = Report::new("Power cuts", &[&["build", "cuts"], VERDICT.as_slice()].concat());
    match cut(&Launch::default(), CUTS) {
        Err(reason) => report.say(&format!("SKIPPED: {reason}. It needs root, loop devices, ext4 and perl.")),
        Ok(outcome) => {
            report.outcome(&["as it is", &CUTS.to_string()], &outcome);
            outcome.assert_kept(CUTS * BETWEEN);
            let lied = cut(&Launch::failing(LIE), 1).expect("as before");
            report.outcome(&["`fdatasync` does nothing", "1"], &lied);
            assert!(!lied.verdict.lost.is_empty(), "this test sees no loss where there must be one: {lied:?}");
        }
    }
    report
}

fn cut(how: &Launch, cuts: usize) -> Result<Outcome, Reason> {
    let mut trial = Trial::new(&Load { devices: 4, qos: vec![1, 2], padding: 0, config: String::new() });
    // The spool alone: nothing else of a gateway is promised.
    let disk = Mounted::ext4(&trial.home.path().join("data/spool"), 256)?;
    for number in 0..cuts {
        // The spool holds much when the upstream is away, and goes on doing so over the next cut.
        trial.upstream.set_away(std::env::var_os("NOAWAY").is_none() && number % 3 != 2);
        trial.start(how);
        let log: Vec<_> = trial.running().log().all().into_iter().filter(|l| !l.contains("listening")).collect();
        println!("DEBUG {number} {log:#?}");
        trial.fleet.wait_for_more(BETWEEN);
        disk.cut_power()?;
        trial.kill();
        disk.power_on()?;
    }
    trial.start(&Launch::default());
    let log: Vec<_> = trial.running().log().all().into_iter().filter(|l| !l.contains("listening")).collect();
    println!("DEBUG {log:#?}");
    Ok(trial.judge())
}
