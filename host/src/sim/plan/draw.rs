//! The parts of a plan, drawn.

use super::super::broker::POISON;
use super::super::dice::Dice;
use super::{DevicePlan, First, LARGE, Route, Sending, UpstreamPlan, Verb};

/// What a device sends at.
const MIXES: [&[u8]; 6] = [&[0, 1, 1, 2, 2], &[0, 1, 1, 2, 2], &[0, 1, 1, 2, 2], &[0], &[1], &[2]];

pub fn upstream(dice: &mut Dice, index: u64, firsts: bool) -> UpstreamPlan {
    let version = *dice.pick(&[4, 5]);
    let tiny = if version == 5 { First::Tiny(dice.below(2) as u32) } else { First::Mute };
    UpstreamPlan {
        name: ["cloud", "site"][index as usize].to_owned(),
        version,
        max_inflight: *dice.pick(&[1, 5, 100]),
        receive_maximum: *dice.pick(&[2, 20, 65_535]),
        server_keep_alive: *dice.pick(&[None, None, Some(0), Some(5)]),
        latency_ms: *dice.pick(&[0, 0, 1, 20]),
        hates_poison: false,
        hates_late: false,
        acks_wrong: false,
        first: firsts.then(|| *dice.pick(&[First::Twin, First::Mute, tiny])),
    }
}

pub fn device(dice: &mut Dice, index: u64, full: bool, poison: bool) -> DevicePlan {
    let pace = *dice.pick(&[0, 20, 200, 1_000]);
    let most = if pace < 100 { 150 } else { 20_000 / pace };
    let count = dice.within(1, most) as usize;
    let version = *dice.pick(&[4, 5]);
    let qos = *dice.pick(&MIXES);
    let mut one = |number| {
        let sending = sending(dice, (number, pace), qos, full, poison);
        // A device of 3.1.1 cannot be told that a message is too large: it would send it for ever.
        let padding = if full && version == 5 && dice.one_in(60) { LARGE } else { sending.padding };
        Sending { padding, ..sending }
    };
    let mut sendings: Vec<_> = (0..count).map(&mut one).collect();
    // One that every upstream takes: two on which it closes, and no other, wait for ever for a witness (decision 0019).
    if let Some(last) = sendings.last_mut() {
        *last = Sending { route: Route::Both, verb: Verb::Pass, padding: 0, deep: false, ..last.clone() };
    }
    DevicePlan { name: format!("dev{index}"), version, window: *dice.pick(&[1, 4, 20]), sendings }
}

fn sending(dice: &mut Dice, (number, pace): (usize, u64), qos: &[u8], full: bool, poison: bool) -> Sending {
    let route = *dice.pick(&[Route::Raw, Route::Cooked, Route::Both, Route::Staged]);
    let verb = match route {
        Route::Cooked => *dice.pick(&[Verb::Pass, Verb::Pass, Verb::Drop, Verb::Fail, Verb::Later, Verb::Two]),
        _ => Verb::Pass,
    };
    let poisoned = poison && dice.one_in(40);
    let padding = if full { dice.within(0, 4_000) } else { *dice.pick(&[0, 0, 0, 100, 3_000]) } as usize;
    Sending {
        number,
        pause_ms: dice.below(2 * pace + 1),
        route,
        qos: *dice.pick(qos),
        verb: if poisoned { Verb::Pass } else { verb },
        padding: if poisoned { POISON } else { padding },
        // Not through two stages: in a spool of four segments, what is kept on the way may leave no room for anything (seed 3046 of plans with it).
        retain: dice.one_in(30) && route != Route::Staged,
        deep: dice.one_in(60),
    }
}
