//! Five ways in which one client ends rumqttd 0.20, whose codecs we use. None of them ends us.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
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
fn f1_a_topic_that_begins_with_a_non_ascii_character_is_a_topic() {
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
fn f2_a_subscriber_may_leave_in_the_middle_of_a_flood() {
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
fn f3_the_last_member_of_a_shared_subscription_may_vanish_with_a_message_in_flight() {
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
fn f4_properties_of_mqtt_5_do_not_reach_a_3_1_1_subscriber_who_may_come_back() {
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
fn f5_a_client_that_sends_what_only_servers_send_may_come_back_under_the_same_name() {
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
fn f5_any_client_identifier_may_connect_again_and_again() {
    let gateway = Gateway::start("");
    for name in ["bad+id", "a/b", "#", "$SYS", "é", "with space"] {
        for _ in 0..3 {
            let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(V5, name).persistent(60));
            device.subscribe("t", 1);
            device.expect_quiet();
        }
    }
    assert_serves(gateway);
}
