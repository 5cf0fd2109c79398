//! A real mosquitto as the upstream that sends.

use tidegate_tests::device::Device;
use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Connect, V4, V5, Version, id};

/// Below `commands`, to devices below `do`.
const BINDING: &str = r#"
subscribe = [{ filter = "plants/{gateway}/commands/#", qos = 2 }]

[[bindings]]
name = "commands"
from = "cloud"
topic = "plants/+/commands/#"
to = [{ local = true, topic = "do/{topic/3+}" }]
"#;

fn start(protocol: u8) -> (Mosquitto, Gateway) {
    let upstream = Mosquitto::start();
    let gateway = Gateway::start(&format!("{}{BINDING}", upstream.upstream("cloud", protocol)));
    subscribed(&upstream);
    (upstream, gateway)
}

/// Nothing that is published before is owed to anybody.
fn subscribed(upstream: &Mosquitto) {
    soon("the gateway is subscribed", || {
        upstream.said().iter().any(|line| line.contains("Sending SUBACK to tidegate-"))
    });
}

fn device(gateway: &Gateway, version: Version) -> Raw {
    let mut device = Raw::clean(gateway.address(), version, "device");
    device.subscribe("do/#", 2);
    device
}

#[test]
fn a_command_reaches_a_device_at_each_qos_and_between_all_versions() {
    for protocol in [5, 4] {
        let (upstream, gateway) = start(protocol);
        for version in [V5, V4] {
            let mut device = device(&gateway, version);
            for qos in [0, 1, 2] {
                Device::new("operator", upstream.address(), 5).qos(qos).publish_one("plants/gw/commands/pump/1", "on");
                let delivered = device.expect_delivery();
                assert_eq!((delivered.topic.as_str(), delivered.payload.as_str()), ("do/pump/1", "on"));
                assert_eq!(delivered.qos, qos, "protocol {protocol}, {version:?}");
                device.acknowledge(&delivered);
            }
            device.leave();
        }
        assert_eq!(gateway.stop()["received"], 6);
    }
}

#[test]
fn a_device_that_is_away_gets_its_commands_later_and_once_whatever_becomes_of_the_gateway() {
    let (upstream, mut gateway) = start(5);
    let session = Connect::new(V5, "device").persistent(600).with(|all| all.short(id::RECEIVE_MAXIMUM, 1));
    let (mut device, _) = Raw::connect(gateway.address(), &session);
    device.subscribe("do/#", 2);
    device.leave();
    let commands: Vec<String> = (0..40).map(|number| format!("command {number}")).collect();
    Device::new("operator", upstream.address(), 5).qos(2).publish("plants/gw/commands/valve", &commands[..20]);
    gateway.crash();
    Device::new("operator", upstream.address(), 5).qos(2).publish("plants/gw/commands/valve", &commands[20..]);
    gateway.expect_count("republished", 1);
    gateway.crash();
    let (mut device, _) = Raw::connect(gateway.address(), &session);
    for command in &commands {
        let delivered = device.expect_delivery();
        assert_eq!(&delivered.payload, command, "in order");
        device.acknowledge(&delivered);
    }
    device.expect_quiet();
}

#[test]
fn a_retained_command_is_retained_here_and_its_end_as_well() {
    let (upstream, gateway) = start(5);
    let operator = || Device::new("operator", upstream.address(), 5).qos(1).retain();
    operator().publish_one("plants/gw/commands/mode", "eco");
    gateway.expect_count("republished", 1);
    let mut late = device(&gateway, V5);
    let delivered = late.expect_delivery();
    assert_eq!((delivered.payload.as_str(), delivered.retain), ("eco", true));
    late.acknowledge(&delivered);
    operator().publish_one("plants/gw/commands/mode", "");
    assert_eq!(late.expect_delivery().payload, "");
    late.leave();
    let mut later = device(&gateway, V5);
    later.expect_quiet();
}

#[test]
fn what_was_retained_before_comes_with_the_subscription_and_not_again_with_each_connection() {
    let mut upstream = Mosquitto::start();
    Device::new("operator", upstream.address(), 5).qos(1).retain().publish_one("plants/gw/commands/mode", "eco");
    let mut gateway = Gateway::start(&format!("{}{BINDING}", upstream.upstream("cloud", 5)));
    gateway.expect_count("received", 1);
    for _ in 0..2 {
        upstream.restart();
        Device::new("operator", upstream.address(), 5).qos(1).publish_one("plants/gw/commands/other", "x");
        // Of this process of it, which knows the session.
        soon("the gateway is back", || upstream.said().iter().any(|line| line.contains(" as tidegate-")));
    }
    gateway.expect_count("received", 3);
    soon("the last one is acknowledged", || {
        upstream.said().iter().any(|line| line.contains("Received PUBACK from tidegate-"))
    });
    gateway.crash();
    Device::new("operator", upstream.address(), 5).qos(1).publish_one("plants/gw/commands/other", "x");
    gateway.expect_count("received", 1);
    assert_eq!(gateway.stop()["received"], 1);
}

#[test]
fn commands_wait_at_the_upstream_while_the_gateway_is_away() {
    for protocol in [5, 4] {
        let (upstream, gateway) = start(protocol);
        let stopped = gateway.stop_and_keep();
        let commands: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        Device::new("operator", upstream.address(), 5).qos(2).publish("plants/gw/commands/x", &commands);
        let gateway = stopped.start_again();
        gateway.expect_count("received", 200);
        assert_eq!(gateway.stop()["received"], 200, "none twice");
    }
}

#[test]
fn properties_of_a_command_reach_the_device() {
    let (upstream, gateway) = start(5);
    let mut device = device(&gateway, V5);
    let operator = Device::new("operator", upstream.address(), 5).qos(1);
    let operator = operator.property(&["response-topic", "answers/1"]).property(&["correlation-data", "42"]);
    operator.property(&["user-property", "who", "operator"]).publish_one("plants/gw/commands/x", "go");
    let delivered = device.expect_delivery();
    device.acknowledge(&delivered);
    let properties = &delivered.properties;
    assert_eq!(properties.string(id::RESPONSE_TOPIC).as_deref(), Some("answers/1"));
    assert_eq!(properties.string(id::CORRELATION_DATA).as_deref(), Some("42"));
    assert!(properties.has_user("who", "operator") && properties.has_user("tidegate-hops", "1"), "{properties:?}");
}

#[test]
fn what_nothing_wants_is_acknowledged_counted_and_said_once() {
    let upstream = Mosquitto::start();
    let binding = BINDING.replace("topic = \"plants/+/commands/#\"", "topic = \"plants/+/commands/wanted/#\"");
    let gateway = Gateway::start(&format!("{}{binding}", upstream.upstream("cloud", 5)));
    subscribed(&upstream);
    let many: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    Device::new("operator", upstream.address(), 5).qos(2).publish("plants/gw/commands/other", &many);
    gateway.expect_count("unmatched", 50);
    gateway.expect_log_times(1, &["sends what no binding takes"]);
    assert_eq!(gateway.log().count(|line| line.contains("sends what no binding takes")), 1);
    // Nothing of it is left open: the next one passes.
    let mut device = device(&gateway, V5);
    Device::new("operator", upstream.address(), 5).qos(2).publish_one("plants/gw/commands/wanted/x", "now");
    let delivered = device.expect_delivery();
    assert_eq!(delivered.payload, "now");
    device.acknowledge(&delivered);
}
