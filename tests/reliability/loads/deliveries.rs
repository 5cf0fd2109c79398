//! What waits for subscribers that are away, with more beside it than in it.

use tidegate_tests::wire::{self, Connect, Properties, V5, id};

use super::attack::Attack;
use super::measure::Load;

pub const LOADS: [Load; 2] = [
    Load {
        name: "subscription-ids",
        sends: "2,000 messages, each for 4 sessions that are away with 1,000 subscription identifiers",
        attack: subscription_ids,
        ..Load::NOTHING
    },
    Load {
        name: "user-properties",
        sends: "3,000 messages with 2,000 empty user properties each, for 12 sessions that are away",
        attack: user_properties,
        ..Load::NOTHING
    },
];

/// Each level is the topic's or `+`, as the bits of a number say: so many filters match it.
const LEVELS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
const FILTERS: usize = 1_000;

fn filter(number: usize) -> String {
    let level = |(bit, level): (usize, &&'static str)| if number >> bit & 1 == 1 { "+" } else { *level };
    LEVELS.iter().enumerate().map(level).collect::<Vec<_>>().join("/")
}

fn subscription_ids(attack: &mut Attack) {
    for session in 0..4 {
        let connect = Connect::new(V5, &format!("hostile{session}")).persistent(600);
        let Some(mut device) = attack.connect(&connect) else { continue };
        for number in 0..FILTERS {
            let properties = Properties::new().variable(id::SUBSCRIPTION_ID, 200_000_000 + number);
            attack.send(&mut device, &wire::subscribe(V5, 1, &properties, &[(&filter(number), 1)]));
            attack.answer(&mut device);
        }
        device.leave();
    }
    let message = wire::publish(V5, &LEVELS.join("/"), "1");
    attack.publish_acknowledged(&message, 2_000);
}

fn user_properties(attack: &mut Attack) {
    for session in 0..12 {
        let connect = Connect::new(V5, &format!("hostile{session}")).persistent(600);
        let Some(mut device) = attack.connect(&connect) else { continue };
        attack.send(&mut device, &wire::subscribe(V5, 1, &Properties::new(), &[("properties", 1)]));
        attack.answer(&mut device);
        device.leave();
    }
    let properties = (0..2_000).fold(Properties::new(), |properties, _| properties.user("", ""));
    attack.publish_acknowledged(&wire::publish(V5, "properties", "1").with(properties), 3_000);
}
