//! The last will of a device that did not say good-bye.

use std::sync::Arc;
use std::time::Duration;

use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::{Connect, DISCONNECT, PUBACK, Properties, V4, V5, Will, id, packet, publish};

use super::{RETAIN_AS_PUBLISHED, listener};

#[test]
fn a_will_is_published_when_the_connection_breaks() {
    let gateway = Gateway::start("");
    let mut listener = listener(&gateway, "will/#", 2 | RETAIN_AS_PUBLISHED);
    for version in [V4, V5] {
        for qos in [0, 1, 2] {
            let will = Will::new("will/x", &format!("q{qos}")).qos(qos).retain();
            drop(Raw::connect(gateway.address(), &Connect::new(version, "device").will(will)));
            let heard = listener.expect_delivery();
            assert_eq!((heard.payload.as_str(), heard.qos, heard.retain), (format!("q{qos}").as_str(), qos, true));
            listener.acknowledge(&heard);
        }
    }
    gateway.stop();
}

#[test]
fn a_will_is_published_after_a_protocol_error_and_after_silence() {
    let gateway = Gateway::start("");
    let mut listener = listener(&gateway, "will", 0);
    let connect = |payload| Connect::new(V4, "device").will(Will::new("will", payload));
    let (mut device, _) = Raw::connect(gateway.address(), &connect("error"));
    device.send(&packet(0x00, b""));
    assert_eq!(listener.expect_delivery().payload, "error");
    let (_silent, _) = Raw::connect(gateway.address(), &connect("silence").keep_alive(1));
    assert_eq!(listener.expect_delivery().payload, "silence");
    gateway.stop();
}

#[test]
fn good_bye_takes_the_will_back_unless_it_says_otherwise() {
    let gateway = Gateway::start("");
    let mut listener = listener(&gateway, "will", 0);
    let connect = |payload| Connect::new(V5, "device").will(Will::new("will", payload));
    Raw::connect(gateway.address(), &connect("withdrawn")).0.leave();
    let (mut device, _) = Raw::connect(gateway.address(), &connect("wanted"));
    device.send(&packet(DISCONNECT << 4, &[0x04]));
    assert_eq!(listener.expect_delivery().payload, "wanted");
    listener.expect_quiet();
    gateway.stop();
}

#[test]
fn a_disconnect_with_any_reason_but_success_leaves_the_will() {
    let gateway = Gateway::start("");
    let mut listener = listener(&gateway, "will", 0);
    for reason in [0x04, 0x80, 0x81, 0x83, 0x93, 0x97, 0x99] {
        let will = Will::new("will", &format!("{reason:#x}"));
        let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(V5, "device").will(will));
        device.send(&packet(DISCONNECT << 4, &[reason]));
        assert_eq!(listener.expect_delivery().payload, format!("{reason:#x}"), "[MQTT-3.14.4-3]");
    }
    // No good-bye: it asks for what it must not (section 3.14.2.2.2).
    let (mut device, _) =
        Raw::connect(gateway.address(), &Connect::new(V5, "device").will(Will::new("will", "an expiry too late")));
    device.send(&packet(DISCONNECT << 4, b"\0\x05\x11\0\0\0\x09"));
    assert_eq!(listener.expect_delivery().payload, "an expiry too late");
    gateway.stop();
}

#[test]
fn a_delayed_will_is_forgotten_when_the_device_comes_back_in_time() {
    let gateway = Gateway::start("");
    let mut listener = listener(&gateway, "will", 0);
    let connect = |delay: u32| {
        let will = Will::new("will", &delay.to_string()).with(Properties::new().long(id::WILL_DELAY, delay));
        Connect::new(V5, "device").persistent(600).will(will)
    };
    drop(Raw::connect(gateway.address(), &connect(3_600)));
    drop(Raw::connect(gateway.address(), &connect(1)));
    assert_eq!(listener.expect_delivery().payload, "1", "after its delay");
    listener.expect_quiet();
    gateway.stop();
}

#[test]
fn a_delayed_will_is_published_when_its_session_ends_first() {
    let gateway = Gateway::start("");
    let mut listener = listener(&gateway, "will", 0);
    let will = Will::new("will", "session over").with(Properties::new().long(id::WILL_DELAY, 3_600));
    drop(Raw::connect(gateway.address(), &Connect::new(V5, "device").persistent(1).will(will)));
    assert_eq!(listener.expect_delivery().payload, "session over");
    gateway.stop();
}

#[test]
fn a_will_goes_through_the_bindings_like_any_message() {
    let config = "[[bindings]]\nname = \"b\"\ntopic = \"will\"\nto = [{ local = true, topic = \"out/{client}\" }]\n";
    let gateway = Gateway::start(config);
    let mut listener = listener(&gateway, "out/#", 0);
    drop(Raw::connect(gateway.address(), &Connect::new(V4, "device").will(Will::new("will", "x"))));
    assert_eq!(listener.expect_delivery().topic, "out/device");
    gateway.stop();
}

#[test]
fn a_will_on_a_topic_of_the_gateway_keeps_nobody_out_and_is_not_published() {
    let gateway = Gateway::start("[broker]\nsys_interval = \"0s\"\n");
    let mut listener = listener(&gateway, "$SYS/#", 0);
    for version in [V4, V5] {
        let will = Will::new("$SYS/broker/connection/bridge/state", "0").qos(1).retain();
        let (mut bridge, _) = Raw::connect(gateway.address(), &Connect::new(version, "bridge").will(will));
        bridge.expect_quiet();
        drop(bridge);
        gateway.expect_departure("bridge");
    }
    listener.expect_quiet();
    gateway.expect_log(&["the will of this client is never published", "bridge"]);
    gateway.stop();
}

#[test]
fn a_kill_when_a_will_is_due_publishes_it_neither_twice_nor_never() {
    for (expiry, delay) in [(0, 0), (600, 0), (600, 1), (1, 600)] {
        let upstream = Upstream::start();
        let binding = "[[bindings]]\nname = \"b\"\ntopic = \"will/#\"\nto = [{ upstream = \"cloud\" }]\n";
        let home = Arc::new(Home::new(&format!("{}{binding}", upstream.config(5))));
        let gateway = Gateway::launch(&home, &Launch::failing("ingress.will_due=return"));
        let will = Will::new("will/x", "gone").qos(1).with(Properties::new().long(id::WILL_DELAY, delay));
        let connect = Connect::new(V5, "device").will(will);
        let connect = if expiry > 0 { connect.persistent(expiry) } else { connect };
        let (device, _) = Raw::connect(gateway.address(), &connect);
        // Its CONNACK does not wait for the disk. What comes later does, and is behind it.
        let mut talker = Raw::clean(gateway.address(), V5, "talker");
        talker.send(&publish(V5, "kept", "x").qos(1, 1).retain().encode());
        talker.expect(PUBACK);
        drop(device);
        assert!(!gateway.wait_for_end().success());
        let gateway = Gateway::launch(&home, &Launch::default());
        // It may have died before that was written: then its device has some seconds to come back.
        upstream.wait_for(1);
        Raw::clean(gateway.address(), V5, "talker").publish("will/last", "x", 1);
        upstream.wait_for(2);
        let topics: Vec<_> = upstream.arrivals().into_iter().map(|arrival| arrival.topic).collect();
        assert_eq!(topics, ["will/x", "will/last"], "expiry {expiry}, delay {delay}");
        gateway.stop();
    }
}

#[test]
fn the_properties_of_a_will_travel_with_it() {
    let gateway = Gateway::start("");
    let mut listener = listener(&gateway, "will", 0);
    let properties = Properties::new().user("why", "power").text(id::CONTENT_TYPE, "text/plain");
    drop(Raw::connect(gateway.address(), &Connect::new(V5, "device").will(Will::new("will", "x").with(properties))));
    let heard = listener.expect_delivery();
    assert!(heard.properties.has_user("why", "power"));
    assert_eq!(heard.properties.string(id::CONTENT_TYPE).as_deref(), Some("text/plain"));
    assert_eq!(listener.next(Duration::from_millis(1)), Next::Silence);
    gateway.stop();
}
