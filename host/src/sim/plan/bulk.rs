//! Messages so large that they take all places of a binding: two stages of the first hop send on more than the second has places for.

use super::super::dice::Dice;
use super::{DevicePlan, Plan, Route, Sending, Trouble, Verb, What};

/// Sixteen MiB are the places of a binding.
const BYTES: usize = 180_000;
const MESSAGES: usize = 45;

/// Whether it is one of these plans.
pub fn draw(plan: &mut Plan) -> bool {
    let mut dice = Dice::new(plan.seed, "bulk");
    if !dice.one_in(40) {
        return false;
    }
    // A record has room for a message, and the log for ten.
    plan.spool_bytes = 2 << 20;
    plan.least_pipe = 64_000;
    plan.devices = (0..4).map(device).collect();
    let lasts_ms = dice.within(1_000, 8_000);
    plan.troubles.push(Trouble { at_ms: 0, lasts_ms, what: What::Away(0) });
    true
}

fn device(index: usize) -> DevicePlan {
    let route = if index.is_multiple_of(2) { Route::Staged } else { Route::StagedToo };
    let one = |number| Sending {
        number,
        pause_ms: 0,
        route: if number + 1 < MESSAGES { route } else { Route::Both },
        qos: 1,
        verb: Verb::Pass,
        padding: if number + 1 < MESSAGES { BYTES } else { 0 },
        retain: false,
        deep: false,
    };
    DevicePlan { name: format!("dev{index}"), version: 4, window: MESSAGES, sendings: (0..MESSAGES).map(one).collect() }
}
