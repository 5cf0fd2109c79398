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
    let mut trial = Trial::new(&Load { devices: 4, qos: vec![1, 2], ..Load::default() });
    // The spool alone: nothing else of a gateway is promised.
    let disk = Mounted::ext4(&trial.home.path().join("data/spool"), 256)?;
    for number in 0..cuts {
        // A spool that holds much is cut as well as one that is passed through.
        trial.upstream.set_away(number % 3 != 2);
        trial.start(how);
        trial.fleet.wait_for_more(BETWEEN);
        trial.cut_power(&disk)?;
    }
    trial.upstream.set_away(false);
    trial.start(&Launch::default());
    Ok(trial.judge())
}
