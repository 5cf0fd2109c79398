//! What plugins make of messages waits for the spool within limits of its own, however little went in.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{V5, publish};

const MIB: usize = 1 << 20;

/// 100 x 10 KB come out for each message, and wait for an upstream that is away.
const CROWD: &str = r#"
[spool]
max_bytes = "16MiB"

[upstreams.away]
url = "mqtt://127.0.0.1:1"

[plugins.vices]
component = "plugins/vices.wasm"
limits = { max_output_bytes = "2MiB" }

[[bindings]]
name = "crowd"
topic = "crowd"
plugins = ["vices"]
to = [{ upstream = "away" }]

[[bindings]]
name = "other"
topic = "other"
plugins = ["vices"]
to = [{ local = true, topic = "out" }]
"#;

#[test]
fn outputs_that_wait_for_the_spool_take_as_much_memory_as_a_lane_may_and_not_as_messages_ask_for() {
    let gateway = Gateway::start(CROWD);
    let mut honest = Raw::clean(gateway.address(), V5, "honest");
    honest.publish("other", "echo", 1);
    let before = gateway.memory();
    let mut devices: Vec<Raw> = (0..5).map(|of| Raw::clean(gateway.address(), V5, &format!("device{of}"))).collect();
    for device in &mut devices {
        let window = (1..=100).flat_map(|packet_id| publish(V5, "crowd", "crowd").qos(1, packet_id).encode());
        device.send(&window.collect::<Vec<_>>());
    }
    gateway.expect_log(&["devices are held back"]);
    // Turns of the threads that the other lane would have, too.
    for _ in 0..3_000 {
        honest.publish("other", "echo", 1);
    }
    let grown = gateway.memory().saturating_sub(before);
    assert!(grown < 128 * MIB, "{} MiB, of 500 that were asked for", grown / MIB);
    gateway.stop();
}

/// A hundred come out for each message, four times behind each other.
fn stages() -> String {
    let stage = |number: usize| {
        format!(
            "[[bindings]]\nname = \"stage{number}\"\ntopic = \"stage/{number}\"\nplugins = [\"vices\"]\nto = [{{ local = true, topic = \"stage/{}\" }}]\n",
            number + 1
        )
    };
    (0..4).map(stage).fold(CROWD.to_owned(), |config, stage| config + &stage)
}

#[test]
fn what_messages_cause_at_local_topics_takes_as_much_memory_as_a_lane_may() {
    let gateway = Gateway::start(&stages());
    let mut honest = Raw::clean(gateway.address(), V5, "honest");
    honest.publish("other", "echo", 1);
    let before = gateway.memory();
    let mut devices: Vec<Raw> = (0..10).map(|of| Raw::clean(gateway.address(), V5, &format!("device{of}"))).collect();
    for device in &mut devices {
        let window = (1..=100).flat_map(|packet_id| publish(V5, "stage/0", "hundred").qos(1, packet_id).encode());
        device.send(&window.collect::<Vec<_>>());
    }
    for _ in 0..1_000 {
        honest.publish("other", "echo", 1);
        let grown = gateway.memory().saturating_sub(before);
        assert!(grown < 96 * MIB, "{} MiB", grown / MIB);
    }
    gateway.stop();
}
