//! As fast as it goes, for some seconds.

use std::time::Duration;

use tidegate_tests::wire::{self, Connect, Properties, V5, Will, id};

use super::attack::Attack;
use super::measure::Load;

const SECONDS: Duration = Duration::from_secs(6);

pub const LOADS: [Load; 3] = [
    Load {
        name: "junk",
        sends: "QoS 0 that `threshold` refuses, for 6 s",
        config: || {
            "[[bindings]]\nname = \"junk\"\ntopic = \"junk\"\nplugins = [\"honest\"]\nto = [{ upstream = \"cloud\" }]\n"
                .into()
        },
        attack: |attack| junk(attack, "junk"),
        ..Load::NOTHING
    },
    Load {
        name: "junk-beside",
        sends: "the same in the binding of the honest devices",
        attack: |attack| junk(attack, "honest/junk"),
        ..Load::NOTHING
    },
    Load {
        name: "session-changes",
        sends: "delayed wills that come and go beside a full share of the spool, for 6 s",
        config: full_share,
        prepare: fill,
        attack: session_changes,
        ..Load::NOTHING
    },
];

/// An upstream that is away for ever, and a small spool.
pub fn full_share() -> String {
    let upstream = "[upstreams.away]\nurl = \"mqtt://127.0.0.1:1\"\n";
    let binding = "[[bindings]]\nname = \"away\"\ntopic = \"away/#\"\nto = [{ upstream = \"away\" }]\n";
    format!("[spool]\nmax_bytes = \"32MiB\"\n{upstream}{binding}")
}

fn junk(attack: &mut Attack, topic: &str) {
    let Some(mut device) = attack.client("hostile") else { return };
    let messages = wire::publish(V5, topic, "no number").encode().repeat(500);
    while attack.elapsed() < SECONDS {
        attack.send(&mut device, &messages);
    }
    attack.hold(device);
}

fn session_changes(attack: &mut Attack) {
    let will = Will::new("gone", &"x".repeat(10_000)).qos(1).with(Properties::new().long(id::WILL_DELAY, 600));
    for number in 0.. {
        let connect = Connect::new(V5, &format!("hostile{}", number % 50)).persistent(600).will(will.clone());
        // Gone without good-bye, and back before the will is due.
        drop(attack.connect(&connect));
        if attack.elapsed() > SECONDS {
            return;
        }
    }
}

/// Until it is held back: the rest stays without an ack.
pub fn fill(attack: &mut Attack) {
    let Some(mut device) = attack.client("filling") else { return };
    let payload = "x".repeat(20_000);
    for packet_id in 1..=2_000 {
        attack.send(&mut device, &wire::publish(V5, "away/full", &payload).qos(1, packet_id).encode());
        if packet_id > 50 && !attack.is_answered_soon(&mut device) {
            return attack.hold(device);
        }
    }
    panic!("a share of 16 MiB has no room for 40 MB");
}
