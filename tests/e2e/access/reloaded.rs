//! An ACL file that changes holds at once, for what is there already: sessions, subscriptions, queued messages.

use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, Connect, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, V4, V5};

use super::*;

const OPEN: &str = "topic readwrite #\n";
const CLOSED: &str = "topic deny secret/#\ntopic readwrite #\n";

#[test]
fn those_who_are_connected_have_the_new_rules_at_once() {
    let gateway = start(OPEN);
    let mut writer = writer(&gateway);
    let mut device = Raw::clean(gateway.address(), V5, "dev");
    assert_eq!(device.subscribe("#", 1), 1);
    device.publish("secret/own", "x", 1);
    writer.publish("secret/x", "x", 1);
    expect_topics(&mut device, &["secret/own", "secret/x"]);
    change_acl(&gateway, CLOSED);
    device.send(&wire::publish(V5, "secret/own", "x").qos(1, 9).encode());
    assert_eq!(device.expect(PUBACK).reason(), NOT_AUTHORIZED);
    writer.publish("secret/x", "x", 1);
    writer.publish("free", "x", 1);
    expect_topics(&mut device, &["free"]);
    assert_eq!(device.subscribe("secret/x", 1), NOT_AUTHORIZED);
    change_acl(&gateway, OPEN);
    writer.publish("secret/x", "x", 1);
    expect_topics(&mut device, &["secret/x"]);
    gateway.stop();
}

#[test]
fn what_was_queued_before_is_asked_for_again() {
    let gateway = start(OPEN);
    let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(V5, "dev").persistent(600));
    device.subscribe("#", 2);
    device.leave();
    gateway.expect_departure("dev");
    let mut writer = writer(&gateway);
    for qos in [1, 2] {
        writer.publish("secret/x", "no", qos);
        writer.publish("free", "yes", qos);
    }
    change_acl(&gateway, CLOSED);
    let (mut device, connack) = Raw::connect(gateway.address(), &Connect::new(V5, "dev").persistent(600));
    assert!(connack.session_present());
    expect_topics(&mut device, &["free"; 2]);
    drop((device, writer));
    let counters = gateway.stop();
    assert_eq!(counters["subscriber_denied"], 2);
}

/// Sent and not acknowledged: at QoS 1 it is not sent again; at QoS 2 the device is told that the identifier is free.
#[test]
fn what_was_sent_and_not_acknowledged_is_not_sent_again_and_keeps_no_identifier() {
    for (version, expiry) in [(V4, 600), (V5, 600)] {
        let gateway = start(OPEN);
        let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(version, "dev").persistent(expiry));
        device.subscribe("#", 2);
        let mut writer = writer(&gateway);
        for (topic, qos) in [("secret/1", 1), ("secret/2", 2), ("free/1", 1)] {
            writer.publish(topic, "x", qos);
            assert_eq!(device.expect(PUBLISH).delivered(version).topic, topic);
        }
        drop(device);
        gateway.expect_departure("dev");
        change_acl(&gateway, CLOSED);
        let (mut device, connack) = Raw::connect(gateway.address(), &Connect::new(version, "dev").persistent(expiry));
        assert!(connack.session_present());
        let (mut again, mut released) = (Vec::new(), Vec::new());
        while again.is_empty() || released.is_empty() {
            match device.next(tidegate_tests::eventually::SOON) {
                Next::Packet(packet) if packet.kind() == PUBREL => released.push(packet.packet_id()),
                Next::Packet(packet) => again.push(packet.delivered(version)),
                other => panic!("{other:?}"),
            }
        }
        device.send(&wire::ack(PUBCOMP, released[0]));
        device.acknowledge(&again[0]);
        assert_eq!((again.len(), again[0].topic.as_str()), (1, "free/1"));
        device.expect_quiet();
        // Nothing of it is left.
        device.leave();
        gateway.expect_departure("dev");
        let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(version, "dev").persistent(expiry));
        device.expect_quiet();
        drop((device, writer));
        gateway.stop();
    }
}

#[test]
fn a_bad_file_or_none_leaves_the_rules_that_there_are() {
    let gateway = start(CLOSED);
    let mut device = Raw::clean(gateway.address(), V5, "dev");
    let acl = gateway.home().path().join("acl");
    fs::write(&acl, "topic deny secret/#\ntopic readwrit #\n").unwrap();
    gateway.expect_log(&["those from before hold", "acl:2: `readwrit` is none of"]);
    fs::remove_file(&acl).unwrap();
    gateway.expect_log(&["those from before hold", "acl` cannot be read"]);
    device.publish("free", "x", 1);
    device.send(&wire::publish(V5, "secret/x", "x").qos(2, 9).encode());
    assert_eq!(device.expect(PUBREC).reason(), NOT_AUTHORIZED);
    fs::write(&acl, OPEN).unwrap();
    gateway.expect_log(&["access rules are read again"]);
    device.publish("secret/x", "x", 2);
    gateway.stop();
}
