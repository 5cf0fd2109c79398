//! A process that dies in the middle of a reload: the next one starts with the new file, and nothing that was acknowledged is lost.

use tidegate_tests::gateway::Launch;
use tidegate_tests::raw::Raw;
use tidegate_tests::trial::{Load, Trial};
use tidegate_tests::wire::V5;

use super::*;

#[test]
fn a_crash_at_each_step_of_a_reload_costs_nothing() {
    for point in ["reload.prepared", "reload.table", "reload.rules", "reload.done"] {
        let mut trial = Trial::new(&Load { devices: 2, qos: vec![1, 2], ..Load::default() });
        trial.start(&Launch::failing(&format!("{point}=return")));
        trial.fleet.wait_for_more(50);
        let gateway = trial.running();
        let config = std::fs::read_to_string(gateway.home().path().join("gateway.toml")).expect("its configuration");
        let more = "[broker.listeners.extra]\nbind = \"127.0.0.1:0\"\n[[access.rules]]\npublish = [\"#\"]\n";
        // Another chain for the load, which it doubles as before.
        let config = config.replace("deadline = \"10s\"", "deadline = \"11s\"");
        write_exactly(gateway, &format!("{config}\n{more}"));
        hang_up(gateway.pid());
        trial.wait_for_death();
        trial.start(&Launch::default());
        Raw::clean(trial.running().listener("extra"), V5, "extra").leave();
        trial.judge().assert_kept(1);
    }
}
