//! What a subscription says beside its filter.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Properties, UNSUBACK, V4, V5, id};

use super::{NO_LOCAL, listener, talker};

#[test]
fn a_delivery_has_the_lesser_qos_of_published_and_subscribed() {
    let gateway = Gateway::start("");
    let mut talker = talker(&gateway);
    for version in [V4, V5] {
        for subscribed in 0..=2 {
            let mut listener = Raw::clean(gateway.address(), version, "listener");
            assert_eq!(listener.subscribe("t", subscribed), subscribed);
            for published in 0..=2 {
                talker.publish("t", "x", published);
                let heard = listener.expect_delivery();
                assert_eq!(heard.qos, published.min(subscribed));
                listener.acknowledge(&heard);
            }
        }
    }
    gateway.stop();
}

#[test]
fn with_no_local_a_client_does_not_hear_itself() {
    let gateway = Gateway::start("");
    let mut device = listener(&gateway, "t", NO_LOCAL);
    device.publish("t", "mine", 1);
    talker(&gateway).publish("t", "yours", 1);
    assert_eq!(device.expect_delivery().payload, "yours");
    gateway.stop();
}

#[test]
fn overlapping_subscriptions_make_one_delivery_with_every_identifier() {
    let gateway = Gateway::start("");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    for (filter, qos, number) in [("a/+", 0, 1), ("a/#", 2, 200_000), ("b", 1, 3)] {
        device.subscribe_with(filter, qos, &Properties::new().variable(id::SUBSCRIPTION_ID, number));
    }
    talker(&gateway).publish("a/b", "x", 2);
    let heard = device.expect_delivery();
    let mut ids = heard.properties.subscription_ids();
    ids.sort_unstable();
    assert_eq!((ids, heard.qos), (vec![1, 200_000], 2));
    device.acknowledge(&heard);
    device.expect_quiet();
    gateway.stop();
}

#[test]
fn a_second_subscription_to_a_filter_replaces_the_first() {
    let gateway = Gateway::start("");
    let mut device = listener(&gateway, "t", 2);
    device.subscribe("t", 0);
    talker(&gateway).publish("t", "x", 2);
    assert_eq!(device.expect_delivery().qos, 0);
    device.expect_quiet();
    gateway.stop();
}

#[test]
fn unsubscribing_ends_deliveries_and_says_what_it_found() {
    let gateway = Gateway::start("");
    let mut device = listener(&gateway, "t", 0);
    device.send(&wire::unsubscribe(V5, 7, &["t", "never", "a/#/b"]));
    let unsuback = device.expect(UNSUBACK);
    assert_eq!((unsuback.packet_id(), unsuback.codes(V5)), (7, vec![0x00, 0x11, 0x8F]));
    talker(&gateway).publish("t", "x", 1);
    device.expect_quiet();
    gateway.stop();
}

#[test]
fn a_bad_filter_fails_alone() {
    let gateway = Gateway::start("");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    device.send(&wire::subscribe(V5, 7, &Properties::new(), &[("good", 1), ("a/#/b", 1), ("a+", 1), ("$share//x", 1)]));
    assert_eq!(device.expect(wire::SUBACK).codes(V5), [0x01, 0x8F, 0x8F, 0x8F]);
    let mut old = Raw::clean(gateway.address(), V4, "old");
    old.send(&wire::subscribe(V4, 7, &Properties::new(), &[("a/#/b", 1), ("good", 2)]));
    assert_eq!(old.expect(wire::SUBACK).codes(V4), [0x80, 2]);
    gateway.stop();
}

#[test]
fn subscriptions_are_capped_one_by_one() {
    let gateway = Gateway::start("[broker.limits]\nmax_subscriptions_per_client = 2\n");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    assert_eq!(["a", "b", "c", "a"].map(|filter| device.subscribe(filter, 0)), [0, 0, 0x97, 0]);
    gateway.stop();
}

#[test]
fn the_gateways_own_topics_are_for_reading_only() {
    let gateway = Gateway::start("");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    assert_eq!(device.subscribe("$tidegate/#", 1), 1);
    for topic in ["$tidegate/dead-letter/x", "$SYS/x"] {
        device.send(&wire::publish(V5, topic, "forged").qos(1, 5).encode());
        assert_eq!(device.expect(wire::PUBACK).reason(), 0x87);
        device.send(&wire::publish(V5, topic, "forged").encode());
    }
    device.expect_quiet();
    assert_eq!(gateway.stop()["acl_denied"], 4);
}
