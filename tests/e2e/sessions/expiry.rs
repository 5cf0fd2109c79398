//! The message expiry interval (MQTT 5, section 3.3.2.3.3), of what is sent again.

use std::thread;
use std::time::Duration;

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Connect, PUBACK, PUBREC, Properties, V4, V5, id, publish};

fn expiring(seconds: u32) -> Properties {
    Properties::new().long(id::EXPIRY, seconds)
}

#[test]
fn what_has_expired_is_not_sent_again_and_what_has_not_says_what_is_left() {
    let gateway = Gateway::start("");
    let connect = Connect::new(V5, "device").persistent(600);
    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    device.subscribe("t", 2);
    let mut talker = Raw::clean(gateway.address(), V5, "talker");
    for (number, (seconds, qos)) in [(2, 1), (100, 1), (2, 2), (100, 2)].into_iter().enumerate() {
        let (packet_id, text) = (number as u16 + 1, format!("{seconds} s at QoS {qos}"));
        talker.send(&publish(V5, "t", &text).qos(qos, packet_id).with(expiring(seconds)).encode());
        talker.finish_publish(qos, packet_id);
        assert_eq!(device.expect_delivery().payload, text);
    }
    drop(device);
    thread::sleep(Duration::from_secs(3));
    let (mut device, _) = Raw::connect(gateway.address(), &connect.clone().clean(false));
    let again: Vec<_> = std::iter::repeat_with(|| device.expect_delivery()).take(3).collect();
    let texts: Vec<_> = again.iter().map(|delivery| delivery.payload.as_str()).collect();
    assert_eq!(texts, ["100 s at QoS 1", "2 s at QoS 2", "100 s at QoS 2"], "QoS 2 goes on [MQTT-4.3.3-7]");
    let left: Vec<_> = again.iter().filter_map(|delivery| delivery.properties.number(id::EXPIRY)).collect();
    assert!((1..=97).contains(&left[0]) && left[1] == 1 && (1..=97).contains(&left[2]), "{left:?}");
    again.iter().for_each(|delivery| device.acknowledge(delivery));
    device.expect_quiet();
    gateway.expect_count("subscriber_expired", 1);
    gateway.stop();
}

#[test]
fn payload_format_0_is_sent_on_as_0_and_none_as_none_also_from_the_disk() {
    let gateway = Gateway::start("");
    let formats = [Some(0), Some(1), None];
    let connect = Connect::new(V5, "device").persistent(600);
    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    device.subscribe("t", 1);
    let mut talker = Raw::clean(gateway.address(), V5, "talker");
    for (number, format) in formats.into_iter().enumerate() {
        let given = format.map_or(Properties::new(), |format| Properties::new().byte(id::PAYLOAD_FORMAT, format));
        let packet_id = number as u16 + 1;
        talker.send(&publish(V5, "t", "x").qos(1, packet_id).with(given).encode());
        assert_eq!(talker.expect(PUBACK).packet_id(), packet_id);
        assert_eq!(device.expect_delivery().properties.number(id::PAYLOAD_FORMAT), format.map(u32::from));
    }
    let gateway = gateway.kill().start_again();
    let (mut device, _) = Raw::connect(gateway.address(), &connect.clean(false));
    for format in formats {
        assert_eq!(device.expect_delivery().properties.number(id::PAYLOAD_FORMAT), format.map(u32::from));
    }
    gateway.stop();
}

#[test]
fn an_ack_of_another_kind_than_its_message_asks_for_ends_the_connection() {
    let gateway = Gateway::start("");
    let mut talker = Raw::clean(gateway.address(), V5, "talker");
    for (qos, wrong) in [(1, PUBREC), (1, wire::PUBCOMP), (2, PUBACK), (2, wire::PUBCOMP)] {
        let mut device = Raw::clean(gateway.address(), V5, "device");
        device.subscribe("t", qos);
        talker.publish("t", "x", qos);
        let packet_id = device.expect_delivery().packet_id;
        device.send(&wire::ack(wrong, packet_id));
        let last = device.expect_close();
        assert_eq!(last.last().map(wire::Packet::reason), Some(0x82), "QoS {qos}, answered by {wrong} [MQTT-4.13.1-1]");
        // One for no message changes nothing: it may be late.
        let mut device = Raw::clean(gateway.address(), V5, "device");
        device.send(&wire::ack(wrong, 77));
        if wrong == PUBREC {
            assert_eq!(device.expect(wire::PUBREL).reason(), 0x92);
        }
        device.expect_quiet();
    }
    gateway.stop();
}

#[test]
fn a_topic_of_more_levels_than_there_may_be_is_refused_alone() {
    let gateway = Gateway::start("");
    let (deep, deepest) = ("/".repeat(200), "/".repeat(199));
    for (version, expected) in [(V4, [0, 0]), (V5, [0x90, 0x90])] {
        let mut device = Raw::clean(gateway.address(), version, "device");
        device.send(&publish(version, &deep, "x").encode());
        for (qos, kind, answer) in [(1, PUBACK, expected[0]), (2, PUBREC, expected[1])] {
            device.send(&publish(version, &deep, "x").qos(qos, 7).encode());
            let ack = device.expect(kind);
            assert_eq!((ack.packet_id(), ack.reason()), (7, answer), "{version:?} QoS {qos}");
        }
        if version == V4 {
            device.send(&wire::ack(wire::PUBREL, 7));
            device.expect(wire::PUBCOMP);
        }
        assert_eq!(device.subscribe(&deep, 0), if version == V5 { 0x8F } else { 0x80 });
        assert_eq!(device.subscribe(&deepest, 0), 0);
        device.publish(&deepest, "x", 1);
        assert_eq!(device.expect_delivery().topic, deepest);
    }
    gateway.expect_log(&["WARN", "levels", "device"]);
    assert_eq!(gateway.stop()["acl_denied"], 6);
}

#[test]
fn a_pubrel_that_comes_before_its_pubrec_is_answered_after_it_and_frees_nothing_before() {
    let gateway = Gateway::start("");
    for (connect, topic) in [(Connect::new(V5, "clean"), "a"), (Connect::new(V5, "kept").persistent(600), "b")] {
        let mut listener = Raw::clean(gateway.address(), V5, "listener");
        listener.subscribe(topic, 1);
        let (mut device, _) = Raw::connect(gateway.address(), &connect);
        for text in ["one", "two"] {
            // In one write: what becomes of the first is not on the disk when the second is read.
            let both = [publish(V5, topic, text).qos(2, 7).retain().encode(), wire::ack(wire::PUBREL, 7)].concat();
            device.send(&both);
            assert_eq!(device.expect(PUBREC).packet_id(), 7);
            let complete = device.expect(wire::PUBCOMP);
            assert_eq!((complete.packet_id(), complete.reason()), (7, 0));
            let heard = listener.expect_delivery();
            assert_eq!(heard.payload, text);
            listener.acknowledge(&heard);
        }
        listener.expect_quiet();
    }
    assert_eq!(gateway.stop()["received"], 4);
}
