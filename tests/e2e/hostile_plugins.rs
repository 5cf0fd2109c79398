//! A plugin that misbehaves harms its own message and nothing else.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Delivered, V4, V5, publish};

const VICES: &str = r#"
[plugins.vices]
component = "plugins/vices.wasm"
limits = { memory = "16MiB", deadline = "500ms", max_outputs = 100, max_output_bytes = "1MiB" }

[[bindings]]
name = "risky"
topic = "risky/#"
plugins = ["vices"]
to = [{ local = true, topic = "out/{topic}" }]
on_error = "dead-letter"
dead_letter_topic = "out/dead"
retry = { attempts = 3, backoff = "10ms" }
# What a breaker does is told in `circuit_breaker`.
breaker = { faults = 10000, within = "1ms" }

[plugins.honest]
component = "plugins/threshold.wasm"
config = { min = 0.0 }

[[bindings]]
name = "other"
topic = "other"
plugins = ["honest"]
to = [{ local = true, topic = "out/{topic}" }]
"#;

struct Site {
    gateway: Gateway,
    listener: Raw,
    device: Raw,
}

fn site() -> Site {
    let gateway = Gateway::start(VICES);
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("out/#", 0);
    let device = Raw::clean(gateway.address(), V4, "device");
    Site { gateway, listener, device }
}

fn reason(letter: &Delivered) -> String {
    let users = letter.properties.users();
    users.into_iter().find(|user| user.0 == "tidegate-reason").map(|user| user.1).unwrap_or_default()
}

#[test]
fn only_the_message_that_a_plugin_fails_on_takes_the_path_of_failures() {
    let Site { mut gateway, mut listener, mut device } = site();
    let vices = [
        ("trap", "trapped"),
        ("panic", "trapped"),
        ("exit", "trapped"),
        ("recurse", "trapped"),
        ("sleep", "trapped"),
        ("loop", "passed its deadline"),
        ("chatter", "passed its deadline"),
        ("wait", "passed its deadline"),
        ("memory", "passed its memory limit"),
        ("hoard", "passed its memory limit"),
        ("flood", "gave an invalid answer"),
        ("bulk", "gave an invalid answer"),
        ("item", "gave an invalid answer"),
        ("topic", "gave an invalid answer"),
        ("garbled", "gave an invalid answer"),
        ("forge", "gave an invalid answer"),
        ("refuse", "refused the message"),
        ("transient", "cannot handle the message now"),
    ];
    for (vice, expected) in vices {
        device.publish("risky/x", vice, 1);
        device.publish("risky/x", "echo: fine again", 1);
        let letter = listener.expect_delivery();
        assert_eq!((letter.topic.as_str(), letter.payload.as_str()), ("out/dead", vice));
        assert_eq!(reason(&letter), expected, "{vice}");
        let next = listener.expect_delivery();
        assert_eq!((next.topic.as_str(), next.payload.as_str()), ("out/risky/x", "echo: fine again"), "after {vice}");
    }
    gateway.assert_alive();
    let counters = gateway.stop();
    assert_eq!((counters["dead_lettered"] as usize, counters["chain_forwarded"] as usize), (vices.len(), vices.len()));
}

#[test]
fn a_fault_in_the_middle_of_a_burst_costs_one_message() {
    let Site { gateway, mut listener, mut device } = site();
    // Sent at once, so that the host may hand them to the plugin in batches.
    let burst: Vec<u8> = (1..=60)
        .flat_map(|number| {
            let payload = if number == 30 { "trap".to_owned() } else { format!("echo {number}") };
            publish(V4, "risky/x", payload).qos(1, number).encode()
        })
        .collect();
    device.send(&burst);
    for number in 1..=60 {
        let expected = if number == 30 { "trap".to_owned() } else { format!("echo {number}") };
        assert_eq!(listener.expect_delivery().payload, expected, "and in order");
    }
    let counters = gateway.stop();
    assert_eq!((counters["failed"], counters["chain_forwarded"]), (1, 59));
}

#[test]
fn another_binding_goes_on_while_a_plugin_loops() {
    let Site { gateway, mut listener, mut device } = site();
    let mut neighbour = Raw::clean(gateway.address(), V5, "neighbour");
    // Each holds a worker thread until its deadline.
    for id in 1..=4 {
        device.send(&publish(V4, "risky/x", "loop").qos(1, id).encode());
    }
    for number in 0..20 {
        neighbour.publish("other", &number.to_string(), 1);
    }
    let topics: Vec<String> = (0..24).map(|_| listener.expect_delivery().topic).collect();
    let dead_before_last_other =
        topics.iter().rev().skip_while(|topic| *topic != "out/other").filter(|topic| *topic == "out/dead");
    assert!(dead_before_last_other.count() < 4, "the honest binding waited for the looping one: {topics:?}");
    gateway.stop();
}

#[test]
fn a_plugin_that_floods_the_log_is_cut_short_and_cannot_forge_a_line() {
    let Site { gateway, mut listener, mut device } = site();
    device.publish("risky/x", "log", 1);
    assert_eq!(listener.expect_delivery().payload, "log");
    // What a process wrote is read a moment later; at its end, all of it.
    let log = gateway.log().clone();
    gateway.stop();
    let said = log.all().into_iter().filter(|line| line.contains("so much to say")).collect::<Vec<_>>();
    assert!((1..=100).contains(&said.len()), "{} of 10000 lines", said.len());
    assert!(said.iter().all(|line| line.contains(r"say\u{1b}[2J\r\nERROR tidegate: forged")), "{said:?}");
    assert_eq!(log.count(|line| line.starts_with("ERROR")), 0);
}

#[test]
fn a_plugin_sees_nothing_of_the_machine_and_the_time_of_its_message() {
    let Site { gateway, mut listener, mut device } = site();
    device.publish("risky/x", "world", 1);
    let seen = listener.expect_delivery().payload;
    let time =
        seen.strip_prefix("[\"").and_then(|seen| seen.strip_suffix("\"]")).and_then(|time| time.parse::<u64>().ok());
    assert!(time.is_some(), "files, environment or a clock that runs: {seen}");
    gateway.stop();
}

#[test]
fn what_a_plugin_cannot_handle_now_is_tried_again_and_keeps_its_place() {
    let Site { gateway, mut listener, mut device } = site();
    let burst = ["echo 1", "moody", "echo 2", "transient", "echo 3"];
    let packets = (1..).zip(burst).flat_map(|(id, payload)| publish(V4, "risky/x", payload).qos(1, id).encode());
    device.send(&packets.collect::<Vec<_>>());
    for payload in burst {
        let delivered = listener.expect_delivery();
        assert_eq!(delivered.payload, payload, "in order");
        assert_eq!(delivered.topic == "out/dead", payload == "transient", "after three attempts");
    }
    let counters = gateway.stop();
    assert_eq!((counters["chain_forwarded"], counters["dead_lettered"]), (4, 1));
}

tidegate_tests::also_on_pulley! {
    only_the_message_that_a_plugin_fails_on_takes_the_path_of_failures,
    a_fault_in_the_middle_of_a_burst_costs_one_message,
    another_binding_goes_on_while_a_plugin_loops,
}
