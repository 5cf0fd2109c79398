//! Who keeps something at the gateway: retained values, and wills.

use super::super::dice::Dice;
use super::{Hazard, Plan};

/// A device that keeps the state of some topics.
#[derive(Clone, Debug)]
pub struct KeeperPlan {
    pub name: String,
    pub version: u8,
    pub values: Vec<ValuePlan>,
}

/// One retained message.
#[derive(Clone, Debug)]
pub struct ValuePlan {
    pub pause_ms: u64,
    pub topic: u64,
    pub qos: u8,
    /// Without a payload: its topic holds nothing from then on.
    pub clears: bool,
}

/// Comes from time to time and looks at what is retained.
#[derive(Clone, Debug)]
pub struct WatcherPlan {
    pub name: String,
    pub version: u8,
    pub every_ms: u64,
}

/// A device with a will, and how it ends.
#[derive(Clone, Debug)]
pub struct MortalPlan {
    pub name: String,
    pub version: u8,
    pub qos: u8,
    /// In seconds, at MQTT 5.
    pub delay: u32,
    /// Of its session, in seconds; at 3.1.1 there is one or none.
    pub expiry: u32,
    pub first_at_ms: u64,
    pub lives: Vec<LifePlan>,
}

#[derive(Clone, Debug)]
pub struct LifePlan {
    pub lasts_ms: u64,
    pub end: LifeEnd,
    /// After its end, or after that of its gateway; none: never again.
    pub back_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeEnd {
    /// Without a word.
    Dies,
    SaysGoodBye,
}

/// With dice of their own, so that those of the rest fall as they would without.
pub fn draw(plan: &mut Plan, hazards: &[Hazard]) {
    let mut dice = Dice::new(plan.seed, "retained");
    if hazards.contains(&Hazard::Retained) && dice.one_in(3) {
        plan.keepers = (0..dice.within(1, 2)).map(|index| keeper(&mut dice, index)).collect();
        plan.watchers = (0..dice.within(1, 2)).map(|index| watcher(&mut dice, index)).collect();
    }
    let mut dice = Dice::new(plan.seed, "wills");
    if hazards.contains(&Hazard::Wills) && dice.one_in(3) {
        plan.mortals = (0..dice.within(1, 3)).map(|index| mortal(&mut dice, index)).collect();
    }
}

fn keeper(dice: &mut Dice, index: u64) -> KeeperPlan {
    let (topics, pace) = (dice.within(1, 3), *dice.pick(&[50, 500, 2_000]));
    let value = |dice: &mut Dice| ValuePlan {
        pause_ms: dice.below(2 * pace),
        topic: dice.below(topics),
        qos: *dice.pick(&[0, 1, 1, 2]),
        clears: dice.one_in(4),
    };
    let count = dice.within(1, 25_000 / pace.max(500));
    let version = *dice.pick(&[4, 5]);
    KeeperPlan { name: format!("keeper{index}"), version, values: (0..count).map(|_| value(dice)).collect() }
}

fn watcher(dice: &mut Dice, index: u64) -> WatcherPlan {
    WatcherPlan { name: format!("watcher{index}"), version: *dice.pick(&[4, 5]), every_ms: dice.within(500, 6_000) }
}

fn mortal(dice: &mut Dice, index: u64) -> MortalPlan {
    let version = *dice.pick(&[4, 5, 5]);
    let (delay, expiry) = (*dice.pick(&[0, 1, 5, 15]), *dice.pick(&[0, 3, 100_000, 100_000]));
    let life = |dice: &mut Dice| LifePlan {
        lasts_ms: dice.within(500, 12_000),
        end: if dice.one_in(3) { LifeEnd::SaysGoodBye } else { LifeEnd::Dies },
        back_ms: if dice.one_in(4) { None } else { Some(*dice.pick(&[700, 2_000, 12_000])) },
    };
    MortalPlan {
        name: format!("mortal{index}"),
        version,
        qos: dice.below(3) as u8,
        delay: if version == 5 { delay } else { 0 },
        expiry: if version == 5 || expiry == 0 { expiry } else { 100_000 },
        first_at_ms: dice.within(1_000, 6_000),
        lives: (0..dice.within(1, 4)).map(|_| life(dice)).collect(),
    }
}
