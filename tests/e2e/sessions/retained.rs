//! The last message of a topic, for those who come later.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Connect, Delivered, V4, V5};

use super::{DO_NOT_SEND_RETAINED, RETAIN_AS_PUBLISHED, SEND_RETAINED_IF_NEW, listener, talker};

fn retain(device: &mut Raw, topic: &str, payload: &str) {
    device.send(&wire::publish(device.version(), topic, payload).retain().qos(1, 1).encode());
    device.finish_publish(1, 1);
}

/// What is delivered before the next live message below `r/`.
fn until_live(listener: &mut Raw, talker: &mut Raw) -> Vec<Delivered> {
    talker.publish("r/live", "live", 1);
    let mut delivered = Vec::new();
    loop {
        let next = listener.expect_delivery();
        listener.acknowledge(&next);
        if next.payload == "live" {
            return delivered;
        }
        delivered.push(next);
    }
}

#[test]
fn a_new_subscriber_hears_every_retained_message_however_many() {
    let gateway = Gateway::start("");
    let mut talker = talker(&gateway);
    // More than a window of Receive Maximum (100), several times.
    for number in 0..500 {
        retain(&mut talker, &format!("r/{number:03}"), &number.to_string());
    }
    for qos in [0, 1, 2] {
        let mut listener = Raw::clean(gateway.address(), V5, "listener");
        listener.subscribe("r/#", qos);
        let next = |_| {
            let next = listener.expect_delivery();
            listener.acknowledge(&next);
            next
        };
        let heard: Vec<Delivered> = (0..500).map(next).collect();
        listener.expect_quiet();
        let wrong = heard
            .iter()
            .find(|one| !one.retain || one.qos != qos.min(1) || !one.topic.ends_with(&format!("{:0>3}", one.payload)));
        assert_eq!(wrong, None);
    }
    gateway.stop();
}

#[test]
fn an_empty_payload_forgets_only_when_it_is_retained() {
    let gateway = Gateway::start("");
    let mut talker = talker(&gateway);
    retain(&mut talker, "r/kept", "x");
    retain(&mut talker, "r/forgotten", "x");
    talker.publish("r/kept", "", 1);
    retain(&mut talker, "r/forgotten", "");
    let mut listener = listener(&gateway, "r/#", 0);
    let topics: Vec<String> = until_live(&mut listener, &mut talker).into_iter().map(|one| one.topic).collect();
    assert_eq!(topics, ["r/kept"]);
    gateway.stop();
}

#[test]
fn the_retain_flag_is_for_new_subscribers_unless_asked_for_as_published() {
    let gateway = Gateway::start("");
    let mut plain = listener(&gateway, "r/#", 0);
    let mut exact = Raw::clean(gateway.address(), V5, "exact");
    exact.subscribe("r/#", RETAIN_AS_PUBLISHED);
    let mut talker = talker(&gateway);
    retain(&mut talker, "r/x", "x");
    assert!(!plain.expect_delivery().retain, "[MQTT-3.3.1-12]");
    assert!(exact.expect_delivery().retain, "[MQTT-3.3.1-13]");
    talker.publish("r/x", "y", 0);
    assert!(!exact.expect_delivery().retain);
    gateway.stop();
}

#[test]
fn retain_handling_says_when_retained_messages_are_wanted() {
    let gateway = Gateway::start("");
    let mut talker = talker(&gateway);
    retain(&mut talker, "r/x", "x");
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    let steps = [(DO_NOT_SEND_RETAINED, 0), (SEND_RETAINED_IF_NEW, 0), (0, 1), (0, 1)];
    for (options, expected) in steps {
        listener.subscribe("r/#", options);
        assert_eq!(until_live(&mut listener, &mut talker).len(), expected, "options {options:#x}");
    }
    let mut fresh = Raw::clean(gateway.address(), V5, "fresh");
    fresh.subscribe("r/#", SEND_RETAINED_IF_NEW);
    assert_eq!(until_live(&mut fresh, &mut talker).len(), 1);
    gateway.stop();
}

#[test]
fn a_retained_message_that_has_expired_is_not_sent() {
    let gateway = Gateway::start("");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    for (topic, seconds) in [("r/short", 1), ("r/long", 600)] {
        let expiry = wire::Properties::new().long(wire::id::EXPIRY, seconds);
        device.send(&wire::publish(V5, topic, "x").retain().qos(1, 1).with(expiry).encode());
        device.finish_publish(1, 1);
    }
    // A keep-alive of one second ends after one and a half.
    Raw::connect(gateway.address(), &Connect::new(V4, "clock").keep_alive(1)).0.expect_close();
    let mut listener = listener(&gateway, "r/#", 0);
    let topics: Vec<String> = until_live(&mut listener, &mut device).into_iter().map(|one| one.topic).collect();
    assert_eq!(topics, ["r/long"]);
    gateway.stop();
}
