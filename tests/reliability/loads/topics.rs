//! Topics and filters that are long, or have as many levels as they may.

use tidegate_tests::wire::{self, Properties, V5};

use super::attack::Attack;
use super::measure::Load;

pub const LOADS: [Load; 3] = [
    Load {
        name: "retained-levels",
        sends: "10,000 retained topics of 200 levels",
        attack: retained_levels,
        ..Load::NOTHING
    },
    Load {
        name: "filters",
        sends: "650 filters of 191 levels on each of 150 connections",
        attack: filters,
        ..Load::NOTHING
    },
    Load {
        name: "long-topics",
        sends: "4,096 QoS 0 messages on different topics of 65 KB",
        attack: long_topics,
        ..Load::NOTHING
    },
];

/// Messages in one write.
const AT_ONCE: usize = 100;

fn deep(index: usize, levels: usize) -> String {
    format!("{index:06}/{}x", "a/".repeat(levels - 2))
}

fn retained_levels(attack: &mut Attack) {
    let Some(mut device) = attack.client("hostile") else { return };
    for first in (0..10_000).step_by(AT_ONCE) {
        let message = |index| wire::publish(V5, &deep(index, 200), "1").retain().encode();
        attack.send(&mut device, &(first..first + AT_ONCE).flat_map(message).collect::<Vec<_>>());
    }
    attack.fence(&mut device);
    attack.hold(device);
}

fn filters(attack: &mut Attack) {
    for connection in 0..150 {
        let Some(mut device) = attack.client(&format!("hostile{connection}")) else { continue };
        let filters: Vec<String> = (0..650).map(|index| deep(connection * 650 + index, 191)).collect();
        for part in filters.chunks(325) {
            let asked: Vec<(&str, u8)> = part.iter().map(|filter| (filter.as_str(), 0)).collect();
            attack.send(&mut device, &wire::subscribe(V5, 1, &Properties::new(), &asked));
            attack.answer(&mut device);
        }
        attack.hold(device);
    }
}

fn long_topics(attack: &mut Attack) {
    let Some(mut device) = attack.client("hostile") else { return };
    let long = "t".repeat(65_000);
    for index in 0..4_096 {
        attack.send(&mut device, &wire::publish(V5, &format!("{index}/{long}"), "1").encode());
    }
    attack.fence(&mut device);
    attack.hold(device);
}
