//! Who listens at the gateway itself.

use super::super::dice::Dice;
use super::{Plan, Route, Sending};

#[derive(Clone, Debug, Default)]
pub struct SubscriberPlan {
    pub name: String,
    pub version: u8,
    /// Of its subscription: 1 or 2.
    pub qos: u8,
    /// A member of the group shares with the others.
    pub is_member: bool,
    /// What goes to an upstream, too.
    pub hears_raw: bool,
    /// Receive Maximum, at MQTT 5.
    pub window: u16,
    /// Before each ack.
    pub slow_ms: u64,
    /// Closes on messages that say so.
    pub hates_poison: bool,
    /// Ends its session then.
    pub leaves_at_ms: Option<u64>,
}

/// With dice of their own, so that those of the rest fall as they would without.
pub fn draw(plan: &mut Plan, poison: bool) {
    let mut dice = Dice::new(plan.seed, "subscribers");
    if dice.one_in(2) {
        return;
    }
    plan.subscribers = (0..dice.within(0, 2)).map(|index| alone(&mut dice, index, poison)).collect();
    if plan.subscribers.is_empty() || dice.one_in(2) {
        plan.subscribers.extend((0..2).map(|index| member(&mut dice, index)));
    }
    for device in &mut plan.devices {
        let but_last = device.sendings.len().saturating_sub(1);
        let chosen = device.sendings.iter_mut().take(but_last).filter(|_| dice.one_in(3));
        chosen.for_each(|sending| sending.route = Route::Local);
        // Who subscribes again, because the first SUBACK was lost, hears again what is retained.
        let heard = |sending: &&mut Sending| matches!(sending.route, Route::Local | Route::Raw);
        device.sendings.iter_mut().filter(heard).for_each(|sending| sending.retain = false);
    }
}

fn alone(dice: &mut Dice, index: u64, poison: bool) -> SubscriberPlan {
    SubscriberPlan {
        name: format!("sub{index}"),
        version: *dice.pick(&[4, 5]),
        qos: dice.within(1, 2) as u8,
        is_member: false,
        hears_raw: dice.one_in(2),
        window: *dice.pick(&[1, 5, 100]),
        slow_ms: *dice.pick(&[0, 0, 10, 50]),
        hates_poison: poison && dice.one_in(2),
        leaves_at_ms: None,
    }
}

/// The first one stays; the others are slow, and leave with much to do.
fn member(dice: &mut Dice, index: u64) -> SubscriberPlan {
    let leaves = index > 0;
    SubscriberPlan {
        name: format!("member{index}"),
        qos: 1,
        is_member: true,
        hears_raw: false,
        hates_poison: false,
        window: if leaves { *dice.pick(&[1, 5]) } else { 100 },
        slow_ms: if leaves { 300 } else { 0 },
        leaves_at_ms: leaves.then(|| dice.within(1_000, 25_000)),
        ..alone(dice, index, false)
    }
}
