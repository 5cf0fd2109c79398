//! One SUBSCRIBE that asks for everything, again and again.

use std::time::Duration;

use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Properties, V5};

use super::attack::Attack;
use super::measure::Load;

const RETAINED: usize = 10_000;

/// Of reading.
const LONGEST: Duration = Duration::from_secs(30);

pub const LOADS: [Load; 2] = [
    Load {
        name: "repeated-filter",
        sends: "`#` 4,000 times in each of 20 SUBSCRIBEs, over 10,000 retained messages",
        prepare: retain,
        attack: repeated_filter,
        ..Load::NOTHING
    },
    Load {
        name: "large-subscribe",
        sends: "SUBSCRIBEs of 224 KB, 25,000 filters in each, over 10,000 retained messages",
        prepare: retain,
        attack: large_subscribe,
        ..Load::NOTHING
    },
];

fn repeated_filter(attack: &mut Attack) {
    let Some(mut device) = attack.client("hostile") else { return };
    for _ in 0..20 {
        attack.send(&mut device, &wire::subscribe(V5, 1, &Properties::new(), &[("#", 0); 4_000]));
    }
    read_all(attack, device);
}

fn large_subscribe(attack: &mut Attack) {
    let Some(mut device) = attack.client("hostile") else { return };
    let filters: Vec<String> = (0..25_000).map(|number| format!("+/{number:04x}")).collect();
    let asked: Vec<(&str, u8)> = filters.iter().map(|filter| (filter.as_str(), 0)).collect();
    for _ in 0..5 {
        attack.send(&mut device, &wire::subscribe(V5, 1, &Properties::new(), &asked));
    }
    read_all(attack, device);
}

fn retain(attack: &mut Attack) {
    let Some(mut device) = attack.client("retaining") else { return };
    let message = |index| wire::publish(V5, &format!("r/{index:04x}"), "1").retain().encode();
    attack.send(&mut device, &(0..RETAINED).flat_map(message).collect::<Vec<_>>());
    attack.fence(&mut device);
}

/// It is no slow reader: that would be another load.
fn read_all(attack: &mut Attack, mut device: Raw) {
    while attack.elapsed() < LONGEST && attack.is_answered_soon(&mut device) {}
    attack.hold(device);
}
