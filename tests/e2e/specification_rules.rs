//! Rules of the specification that are easy to miss, tried by clients that are within their rights, or hardly outside.

use tidegate_tests::eventually::{self, SOON};
use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, Connect, PINGRESP, Properties, V4, V5, Will, packet, publish};

/// New clients are let in, and messages go from one to the other.
fn assert_serves(mut gateway: Gateway) {
    let mut listener = Raw::clean(gateway.address(), V4, "late listener");
    listener.subscribe("alive", 1);
    Raw::clean(gateway.address(), V5, "late talker").publish("alive", "yes", 2);
    assert_eq!(listener.expect_delivery().payload, "yes");
    gateway.assert_alive();
    gateway.stop();
}

#[test]
fn topics_of_every_script_are_delivered_also_those_of_wills() {
    let gateway = Gateway::start("");
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("+/x", 0);
    Raw::clean(gateway.address(), V4, "device").publish("é/x", "live", 1);
    let heard = listener.expect_delivery();
    assert_eq!((heard.topic.as_str(), heard.payload.as_str()), ("é/x", "live"));
    let with_will = Connect::new(V5, "dying").will(Will::new("日本/x", "will"));
    drop(Raw::connect(gateway.address(), &with_will));
    assert_eq!(listener.expect_delivery().topic, "日本/x");
    assert_serves(gateway);
}

#[test]
fn a_subscriber_may_leave_while_messages_wait_for_it() {
    let gateway = Gateway::start("");
    let flood: Vec<u8> = (0..200).flat_map(|_| publish(V4, "flood", [b'x'; 1_000]).encode()).collect();
    let mut device = Raw::clean(gateway.address(), V4, "device");
    for round in 0..10 {
        let mut listener = Raw::clean(gateway.address(), V5, &format!("listener{round}"));
        listener.subscribe("#", 0);
        device.send(&flood);
        // It has not read what waits for it, and never will.
        listener.send(wire::GOODBYE);
        drop(listener);
    }
    device.expect_quiet();
    assert_serves(gateway);
}

#[test]
fn what_a_shared_member_did_not_acknowledge_is_sent_again_when_it_returns() {
    let gateway = Gateway::start("");
    let persistent = Connect::new(V5, "member").persistent(60);
    let (mut member, _) = Raw::connect(gateway.address(), &persistent);
    member.subscribe("$share/group/work", 1);
    let mut device = Raw::clean(gateway.address(), V4, "device");
    device.publish("work", "first", 1);
    assert_eq!(member.expect_delivery().payload, "first");
    drop(member);
    device.publish("work", "second", 1);
    let (mut member, connack) = Raw::connect(gateway.address(), &persistent);
    assert!(connack.session_present());
    assert_eq!(member.expect_delivery().payload, "first", "it was not acknowledged");
    assert_eq!(member.expect_delivery().payload, "second");
    assert_serves(gateway);
}

#[test]
fn properties_of_mqtt_5_do_not_reach_a_subscriber_of_3_1_1() {
    let gateway = Gateway::start("");
    let connect = Connect::new(V4, "old").persistent(0);
    let (mut old, _) = Raw::connect(gateway.address(), &connect);
    old.subscribe("t", 1);
    let mut device = Raw::clean(gateway.address(), V5, "device");
    let properties = Properties::new().user("unit", "celsius").long(wire::id::EXPIRY, 3_600);
    for round in 1..=3 {
        device.send(&publish(V5, "t", "21.5").qos(1, round).with(properties.clone()).encode());
        device.finish_publish(1, round);
        let heard = old.expect_delivery();
        assert_eq!((heard.topic.as_str(), heard.payload.as_str()), ("t", "21.5"));
        old.acknowledge(&heard);
        old.expect_quiet();
        drop(old);
        let connack;
        (old, connack) = Raw::connect(gateway.address(), &connect);
        assert!(connack.session_present());
    }
    assert_serves(gateway);
}

#[test]
fn a_client_that_sends_a_packet_of_servers_is_closed_and_may_come_back() {
    let gateway = Gateway::start("");
    let connect = Connect::new(V5, "confused").persistent(60);
    for server_packet in [packet(0x20, b"\0\0\0"), packet(0xB0, b"\0\x01\0\0")] {
        for _ in 0..3 {
            let (mut confused, _) = Raw::connect(gateway.address(), &connect);
            confused.send(&server_packet);
            assert_eq!(confused.expect_close().last().map(wire::Packet::reason), Some(0x82));
        }
    }
    let (mut back, _) = Raw::connect(gateway.address(), &connect);
    back.send(wire::PING);
    back.expect(PINGRESP);
    assert_serves(gateway);
}

#[test]
fn a_client_identifier_may_be_any_text() {
    let gateway = Gateway::start("");
    for name in ["dev0", "ABCDEFGHIJ0123456789xyz", "a+b", "a/b", "#", "$SYS", "é", "with space"] {
        for _ in 0..3 {
            let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(V5, name).persistent(60));
            device.subscribe("t", 1);
            device.expect_quiet();
        }
    }
    assert_serves(gateway);
}

#[test]
fn a_password_may_be_any_bytes() {
    let gateway = Gateway::start("");
    let connects: [(_, &[u8]); 2] = [
        (V4, b"\0\x04MQTT\x04\xC2\0\0\0\x01c\0\x01u\0\x03\xFF\0\x80"),
        (V5, b"\0\x04MQTT\x05\xC2\0\0\0\0\x01c\0\x01u\0\x03\xFF\0\x80"),
    ];
    for (version, connect) in connects {
        let mut device = Raw::open(gateway.address(), version);
        device.send(&packet(0x10, connect));
        assert_eq!(device.expect(wire::CONNACK).reason(), 0, "{version:?}");
        device.expect_quiet();
    }
    assert_serves(gateway);
}

#[test]
fn what_was_begun_is_completed_after_unsubscribing() {
    let gateway = Gateway::start("");
    let connect = Connect::new(V5, "reader").persistent(600);
    let (mut reader, _) = Raw::connect(gateway.address(), &connect);
    reader.subscribe("t", 2);
    let mut talker = Raw::clean(gateway.address(), V4, "talker");
    talker.publish("t", "one", 1);
    talker.publish("t", "two", 2);
    let (one, two) = (reader.expect_delivery(), reader.expect_delivery());
    reader.send(&wire::unsubscribe(V5, 99, &["t"]));
    assert_eq!(reader.expect(wire::UNSUBACK).codes(V5), [0]);
    talker.publish("t", "nobody hears this", 2);
    reader.expect_quiet();
    drop(reader);
    let (mut reader, connack) = Raw::connect(gateway.address(), &connect);
    assert!(connack.session_present());
    for begun in [one, two] {
        let again = reader.expect_delivery();
        assert_eq!(
            (again.payload.as_str(), again.packet_id, again.dup),
            (begun.payload.as_str(), begun.packet_id, true)
        );
        reader.acknowledge(&again);
    }
    reader.expect_quiet();
    assert_serves(gateway);
}

#[test]
fn what_was_begun_at_qos_2_with_a_member_that_ended_goes_to_no_other() {
    let gateway = Gateway::start("");
    let mut first = Raw::clean(gateway.address(), V5, "first");
    first.subscribe("$share/group/work", 2);
    let mut talker = Raw::clean(gateway.address(), V4, "talker");
    talker.publish("work", "begun", 2);
    assert_eq!(first.expect_delivery().payload, "begun");
    let mut second = Raw::clean(gateway.address(), V5, "second");
    second.subscribe("$share/group/work", 0);
    // The session ends with its connection: what was begun in it ends too [MQTT-4.8.2-5].
    first.leave();
    let mut heard = Vec::new();
    eventually::soon("the group has one member", || {
        talker.publish("work", "later", 2);
        heard.extend(deliveries(&mut second));
        !heard.is_empty()
    });
    heard.extend(deliveries(&mut second));
    assert!(heard.iter().all(|payload| payload == "later"), "{heard:?}");
    assert_serves(gateway);
}

/// What has come so far, at QoS 0.
fn deliveries(subscriber: &mut Raw) -> Vec<String> {
    let mut heard = Vec::new();
    subscriber.send(wire::PING);
    while let Next::Packet(packet) = subscriber.next(SOON)
        && packet.kind() != PINGRESP
    {
        heard.push(packet.delivered(V5).payload);
    }
    heard
}
