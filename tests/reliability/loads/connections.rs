//! What each of many connections may leave with the gateway.

use tidegate_tests::wire::{self, Connect, Properties, V5, Will, id};

use super::attack::Attack;
use super::measure::Load;

/// Of the 900 that there may be, honest ones among them.
const CONNECTIONS: usize = 890;

pub const LOADS: [Load; 3] = [
    Load { name: "wills", sends: "wills of 245 KB on 890 connections", attack: wills, ..Load::NOTHING },
    Load {
        name: "aliases",
        sends: "16 topic aliases of 64 KB on each of 300 connections",
        attack: aliases,
        ..Load::NOTHING
    },
    Load {
        name: "half-sent",
        sends: "all but the last byte of a packet of 250 KB, without keep-alive, on 890 connections",
        attack: half_sent,
        ..Load::NOTHING
    },
];

fn wills(attack: &mut Attack) {
    let part = "x".repeat(60_000);
    let properties = (0..3).fold(Properties::new(), |properties, _| properties.user("note", &part));
    let will = Will::new("gone", &part).with(properties);
    for connection in 0..CONNECTIONS {
        let connect = Connect::new(V5, &format!("hostile{connection}")).will(will.clone());
        let device = attack.connect(&connect);
        device.into_iter().for_each(|device| attack.hold(device));
    }
}

fn aliases(attack: &mut Attack) {
    let long = "t".repeat(64_000);
    for connection in 0..300 {
        let Some(mut device) = attack.client(&format!("hostile{connection}")) else { continue };
        for alias in 1..=16 {
            let properties = Properties::new().short(id::TOPIC_ALIAS, alias);
            attack.send(&mut device, &wire::publish(V5, &long, "1").with(properties).encode());
        }
        attack.hold(device);
    }
}

fn half_sent(attack: &mut Attack) {
    let whole = wire::publish(V5, "a", "x".repeat(250_000)).qos(1, 1).encode();
    for connection in 0..CONNECTIONS {
        let Some(mut device) = attack.client(&format!("hostile{connection}")) else { continue };
        attack.send(&mut device, &whole[..whole.len() - 1]);
        attack.hold(device);
    }
}
