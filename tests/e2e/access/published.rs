//! What a device may not publish goes nowhere, and is answered as its version has words for it.

use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, PUBACK, PUBCOMP, PUBREC, PUBREL, V4, V5};

use super::*;

/// A binding that would take everything, and a rule for one topic.
const COPY: &str = "[[bindings]]\nname = \"copy\"\ntopic = [\"mine/#\", \"yours/#\"]\nto = [{ local = true, topic = \"copy/{topic}\" }]\n";
const MINE: &str = "pattern write mine/%c/#\n";

#[test]
fn in_mqtt_5_each_message_is_answered_with_its_reason_and_is_forwarded_to_nobody() {
    let gateway = start_with(MINE, COPY);
    let mut watcher = watcher(&gateway);
    let mut device = Raw::clean(gateway.address(), V5, "dev");
    device.send(&wire::publish(V5, "yours/x", "0").encode());
    device.send(&wire::publish(V5, "yours/x", "1").qos(1, 1).retain().encode());
    assert_eq!(device.expect(PUBACK).reason(), NOT_AUTHORIZED);
    device.send(&wire::publish(V5, "mine/other/x", "2").qos(2, 2).encode());
    assert_eq!(device.expect(PUBREC).reason(), NOT_AUTHORIZED);
    // The exchange is over with that, and its identifier is free.
    device.send(&wire::publish(V5, "mine/dev/x", "3").qos(2, 2).encode());
    device.finish_publish(2, 2);
    expect_topics(&mut watcher, &["mine/dev/x", "copy/mine/dev/x"]);
    drop((device, watcher));
    let counters = gateway.stop();
    assert_eq!((counters["received"], counters["acl_denied"]), (4, 3));
}

#[test]
fn in_mqtt_3_1_1_a_denied_message_is_acknowledged_and_dropped() {
    let gateway = start_with(MINE, COPY);
    let mut watcher = watcher(&gateway);
    let mut device = Raw::clean(gateway.address(), V4, "dev");
    for qos in [0, 1, 2] {
        device.publish("yours/x", "no", qos);
        device.publish("mine/dev/x", "yes", qos);
    }
    device.expect_quiet();
    for _ in 0..6 {
        let delivered = watcher.expect_delivery();
        assert!(delivered.topic.ends_with("mine/dev/x"), "{delivered:?}");
        watcher.acknowledge(&delivered);
    }
    watcher.expect_quiet();
    gateway.expect_log(&["denied: it may not publish there", "client=\"dev\"", "yours/x", "no rule allows it"]);
    drop((device, watcher));
    assert_eq!(gateway.stop()["acl_denied"], 3);
}

#[test]
fn in_mqtt_3_1_1_it_ends_the_connection_where_that_is_asked_for() {
    for qos in [0, 1, 2] {
        let config = PEOPLE.replace("[access]", "[access]\ndenied_publish = \"disconnect\"");
        let home = Home::new(&config);
        fs::write(home.path().join("acl"), MINE).unwrap();
        let gateway = Gateway::launch(&Arc::new(home), &Launch::default());
        let mut watcher = watcher(&gateway);
        let mut device = Raw::clean(gateway.address(), V4, "dev");
        device.publish("mine/dev/x", "yes", qos);
        device.send(&wire::publish(V4, "yours/x", "no").qos(qos, 9).encode());
        assert_eq!(device.expect_close(), []);
        // MQTT 5 has a word for it.
        let mut device = Raw::clean(gateway.address(), V5, "dev");
        device.send(&wire::publish(V5, "yours/x", "no").qos(1, 9).encode());
        assert_eq!(device.expect(PUBACK).reason(), NOT_AUTHORIZED);
        expect_topics(&mut watcher, &["mine/dev/x"]);
        drop((device, watcher));
        assert_eq!(gateway.stop()["acl_denied"], 2);
    }
}

#[test]
fn a_repetition_of_what_was_denied_is_not_taken_for_a_new_message() {
    let gateway = start(MINE);
    let (mut device, _) = Raw::connect(gateway.address(), &wire::Connect::new(V4, "dev").persistent(600));
    device.send(&wire::publish(V4, "yours/x", "no").qos(2, 1).encode());
    device.expect(PUBREC);
    drop(device);
    gateway.expect_departure("dev");
    let (mut device, _) = Raw::connect(gateway.address(), &wire::Connect::new(V4, "dev").persistent(600));
    device.send(&wire::publish(V4, "yours/x", "no").qos(2, 1).dup().encode());
    device.expect(PUBREC);
    device.send(&wire::ack(PUBREL, 1));
    device.expect(PUBCOMP);
    device.leave();
    gateway.stop();
}

#[test]
fn a_name_that_is_chosen_to_be_a_wildcard_opens_nothing() {
    let gateway = start("pattern readwrite mine/%c/#\npattern read free/#\n");
    for name in ["+", "#", "a/b", "+/+", "a#"] {
        let mut device = Raw::clean(gateway.address(), V5, name);
        for topic in ["mine/a/b/x", "mine/x", "mine/a/x"] {
            device.send(&wire::publish(V5, topic, "x").qos(1, 1).encode());
            assert_eq!(device.expect(PUBACK).reason(), NOT_AUTHORIZED, "{name} {topic}");
        }
        assert_eq!(device.subscribe("mine/#", 0), NOT_AUTHORIZED, "{name}");
        // As mosquitto has it, patterns give nothing at all to who has a wildcard in his name.
        let is_wild = name.contains(['+', '#']);
        assert_eq!(device.subscribe("free/x", 0), if is_wild { NOT_AUTHORIZED } else { 0 }, "{name}");
    }
    gateway.stop();
}
