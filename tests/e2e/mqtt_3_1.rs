//! Devices of MQTT 3.1 (`MQIsdp`): scripted ones, and a real mosquitto_pub.

use std::process::Command;

use tidegate_tests::gateway::Gateway;
use tidegate_tests::process::Process;
use tidegate_tests::raw::Raw;
use tidegate_tests::sink::Sink;
use tidegate_tests::wire::{self, Connect, V4};

const OLD: &str = "[broker.listeners.old]\nbind = \"127.0.0.1:0\"\nmqtt_3_1 = true\n";

/// CONNECT as 3.1 has it, with the flags that follow the level.
fn connect(flags: u8, client: &str) -> Vec<u8> {
    let mut body = b"\0\x06MQIsdp\x03".to_vec();
    body.extend([flags, 0, 0, 0, client.len() as u8]);
    body.extend(client.as_bytes());
    wire::packet(wire::CONNECT << 4, &body)
}

fn connects(gateway: &Gateway, flags: u8, client: &str) -> Raw {
    let mut device = Raw::open(gateway.listener("old"), V4);
    device.send(&connect(flags, client));
    let connack = device.expect(wire::CONNACK);
    assert_eq!((connack.reason(), connack.session_present()), (0, false));
    device
}

#[test]
fn without_the_setting_a_device_is_refused_with_1_and_the_log_says_which_line_serves_it() {
    let gateway = Gateway::start("");
    let mut device = Raw::open(gateway.address(), V4);
    device.send(&connect(2, "old"));
    assert_eq!(device.expect(wire::CONNACK).reason(), 1);
    assert!(device.expect_close().is_empty());
    gateway.expect_log(&["connection refused", "MQTT 3.1 (`MQIsdp`)", "`mqtt_3_1 = true`"]);
    gateway.stop();
}

#[test]
fn a_device_publishes_and_hears_at_each_qos_and_sends_again_with_dup() {
    let gateway = Gateway::start(OLD);
    // An identifier of 40 characters: the 23 of its specification are no limit.
    let mut device = connects(&gateway, 2, &"long".repeat(10));
    // Sent again, for its first SUBACK was late: DUP in SUBSCRIBE and in PUBREL.
    for first in [0x82, 0x8A] {
        device.send(&wire::packet(first, b"\0\x07\0\x01t\x02"));
        assert_eq!(device.expect(wire::SUBACK).codes(V4), [2]);
    }
    let mut other = Raw::clean(gateway.listener("local"), V4, "other");
    for qos in 0..3 {
        device.send(&wire::publish(V4, "u", "x").qos(qos, 9).encode());
        if qos == 1 {
            assert_eq!(device.expect(wire::PUBACK).packet_id(), 9);
        }
        if qos == 2 {
            assert_eq!(device.expect(wire::PUBREC).packet_id(), 9);
            device.send(&wire::packet(0x6A, b"\0\x09"));
            assert_eq!(device.expect(wire::PUBCOMP).packet_id(), 9);
        }
        other.publish("t", "x", qos);
        let delivered = device.expect_delivery();
        assert_eq!(delivered.qos, qos);
        device.acknowledge(&delivered);
    }
    device.expect_quiet();
    gateway.stop();
}

#[test]
fn a_session_is_kept_and_connack_does_not_tell_of_it() {
    let gateway = Gateway::start(OLD);
    let mut device = connects(&gateway, 0, "keeps");
    assert_eq!(device.subscribe("t", 1), 1);
    device.leave();
    gateway.expect_departure("keeps");
    Raw::clean(gateway.listener("local"), V4, "other").publish("t", "meanwhile", 1);
    let mut device = connects(&gateway, 0, "keeps");
    assert_eq!(device.expect_delivery().payload, "meanwhile");
    gateway.stop();
}

#[test]
fn what_its_specification_refuses_is_refused_and_a_filter_is_granted_nothing() {
    let gateway = Gateway::start(OLD);
    let mut nameless = Raw::open(gateway.listener("old"), V4);
    nameless.send(&connect(2, ""));
    assert_eq!(nameless.expect(wire::CONNACK).reason(), 2);
    let mut device = connects(&gateway, 2, "old");
    device.send(&wire::packet(0x82, b"\0\x07\0\x01t\x01\0\x03a#b\x02"));
    assert_eq!(device.expect(wire::SUBACK).codes(V4), [1, 0], "a code of 0x80 would be a QoS to it");
    gateway.expect_log(&["client=\"old\"", "a filter is refused, which MQTT 3.1 has no word for"]);
    // Later versions come to this listener, too.
    Raw::clean(gateway.listener("old"), V4, "new");
    Raw::connect(gateway.listener("old"), &Connect::new(wire::V5, "newer"));
    gateway.stop();
}

#[test]
fn mosquitto_speaks_it_as_a_device() {
    let gateway = Gateway::start(OLD);
    let address = gateway.listener("old");
    let sink = Sink::subscribe(gateway.listener("local"), "t/#");
    for qos in ["0", "1", "2"] {
        let mut command = Command::new("mosquitto_pub");
        command.args(["-V", "mqttv31", "-h", "127.0.0.1", "-p", &address.port().to_string(), "-q", qos]);
        let mut process = Process::start("mosquitto_pub", command.args(["-t", "t/old", "-m", qos]));
        assert!(process.wait().success(), "{}", process.err().text());
    }
    assert_eq!(sink.wait_for(3).iter().map(|arrival| arrival.qos).max(), Some(2));
    gateway.stop();
}
