//! What a plugin can do beside the binding of somebody else. The plugins are those of the tests: they misbehave when a message says so.

use std::time::Duration;

use tidegate_tests::wire::{self, V5};

use super::attack::Attack;
use super::measure::Load;

const SECONDS: Duration = Duration::from_secs(6);

pub const LOADS: [Load; 5] = [
    Load {
        name: "plugin-memory",
        sends: "100 bindings of a plugin that fills 13 MiB",
        config: || (0..100).map(|number| binding(number, "cloud")).chain([vices("")]).collect(),
        attack: fill_memory,
        ..Load::NOTHING
    },
    Load {
        name: "plugin-state",
        sends: "a plugin that sets a value of 1 MB for each message, for 6 s",
        config: || format!("[plugins.vices]\ncomponent = \"plugins/counting.wasm\"\n{}", binding(0, "cloud")),
        attack: |attack| flood(attack, "rewrite large"),
        ..Load::NOTHING
    },
    Load {
        name: "plugin-outputs",
        sends: "1,000 messages of 10 devices for a plugin that makes 100 x 10 KB of each, its upstream away",
        config: || {
            format!("[spool]\nmax_bytes = \"64MiB\"\n{}{}", vices("max_output_bytes = \"2MiB\""), binding(0, "cloud"))
        },
        is_upstream_away: true,
        attack: |attack| burst(attack, "crowd"),
        ..Load::NOTHING
    },
    Load {
        name: "fan-out",
        sends: "1,000 messages of 10 devices for a plugin that makes 100 of each, in four local stages behind each other",
        config: || (0..4).map(stage).chain([vices("")]).collect(),
        attack: |attack| burst(attack, "hundred"),
        ..Load::NOTHING
    },
    Load {
        name: "slow-starts",
        sends: "12 plugins that trap on each message, and need 2 s of a processor to start, for 12 s",
        config: || (0..SLOW).map(slow).collect(),
        prepare: await_starts,
        attack: trap,
        ..Load::NOTHING
    },
];

const SLOW: usize = 12;

fn vices(limits: &str) -> String {
    format!("[plugins.vices]\ncomponent = \"plugins/vices.wasm\"\nlimits = {{ {limits} }}\n")
}

fn binding(number: usize, upstream: &str) -> String {
    format!(
        "[[bindings]]\nname = \"b{number}\"\ntopic = \"hostile/{number}\"\nplugins = [\"vices\"]\nto = [{{ upstream = \"{upstream}\", topic = \"hostile\" }}]\n"
    )
}

/// What comes out of it goes into the next one.
fn stage(number: usize) -> String {
    format!(
        "[[bindings]]\nname = \"b{number}\"\ntopic = \"hostile/{number}\"\nplugins = [\"vices\"]\nto = [{{ local = true, topic = \"hostile/{}\" }}]\n",
        number + 1
    )
}

fn slow(number: usize) -> String {
    format!(
        r#"
[plugins.slow{number}]
component = "plugins/vices.wasm"
config = {{ start = "slow" }}
grants = ["clock"]
limits = {{ start_deadline = "5s" }}

[[bindings]]
name = "slow{number}"
topic = "hostile/{number}"
plugins = ["slow{number}"]
to = [{{ upstream = "cloud", topic = "hostile" }}]
"#
    )
}

fn fill_memory(attack: &mut Attack) {
    each_once(attack, 100, "fill");
}

fn await_starts(attack: &mut Attack) {
    each_once(attack, SLOW, "echo");
}

fn each_once(attack: &mut Attack, bindings: usize, payload: &str) {
    let Some(mut device) = attack.client("hostile") else { return };
    for number in 0..bindings {
        attack.send(&mut device, &wire::publish(V5, &format!("hostile/{number}"), payload).qos(1, 1).encode());
        attack.answer(&mut device);
    }
}

/// A window of them under way, until time is up or the gateway holds the device back.
fn flood(attack: &mut Attack, payload: &str) {
    let Some(mut device) = attack.client("hostile") else { return };
    for packet_id in (1..=u16::MAX).cycle() {
        attack.send(&mut device, &wire::publish(V5, "hostile/0", payload).qos(1, packet_id).encode());
        if packet_id > 20 && !attack.is_answered_soon(&mut device) || attack.elapsed() > SECONDS {
            break;
        }
    }
    attack.hold(device);
}

/// A full window of each of ten devices, at once.
fn burst(attack: &mut Attack, payload: &str) {
    let message = wire::publish(V5, "hostile/0", payload);
    let window: Vec<u8> = (1..=100).flat_map(|packet_id| message.clone().qos(1, packet_id).encode()).collect();
    for number in 0..10 {
        let Some(mut device) = attack.client(&format!("hostile{number}")) else { continue };
        attack.send(&mut device, &window);
        attack.hold(device);
    }
    std::thread::sleep(SECONDS);
}

fn trap(attack: &mut Attack) {
    let Some(mut device) = attack.client("hostile") else { return };
    for number in (0..SLOW).cycle() {
        attack.send(&mut device, &wire::publish(V5, &format!("hostile/{number}"), "trap").encode());
        std::thread::sleep(Duration::from_millis(100));
        if attack.elapsed() > 2 * SECONDS {
            return attack.hold(device);
        }
    }
}
