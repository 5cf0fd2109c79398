//! SUBSCRIBE: each filter by itself.

use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Properties, SUBACK, V4, V5};

use super::*;

const ACL: &str =
    "topic read a/b\ntopic deny secret/x\ntopic read secret/+\ntopic write only/written\npattern read of/%c/#\n";

#[test]
fn each_filter_is_granted_when_some_topic_of_it_may_be_received() {
    let gateway = start(ACL);
    let filters = [
        ("a/b", true),
        ("a/c", false),
        ("#", true),
        ("+/+", true),
        ("+", false),
        ("secret/x", false),
        ("secret/+", true),
        ("secret/+/+", false),
        ("only/written", false),
        ("of/dev/x", true),
        ("of/dev/+/#", true),
        ("of/+", true),
        ("of/other/#", false),
        ("$SYS/#", false),
        ("$share/g/a/b", true),
        ("$share/g/a/c", false),
    ];
    for (version, refused) in [(V5, NOT_AUTHORIZED), (V4, 0x80)] {
        let mut device = Raw::clean(gateway.address(), version, "dev");
        let asked: Vec<(&str, u8)> = filters.iter().map(|(filter, _)| (*filter, 1)).collect();
        device.send(&wire::subscribe(version, 1, &Properties::new(), &asked));
        let codes = device.expect(SUBACK).codes(version);
        let expected: Vec<u8> = filters.iter().map(|(_, granted)| if *granted { 1 } else { refused }).collect();
        assert_eq!(codes, expected, "{filters:?}");
        device.leave();
    }
    gateway.stop();
}

#[test]
fn a_filter_that_is_refused_gets_nothing() {
    let gateway = start(ACL);
    let mut device = Raw::clean(gateway.address(), V5, "dev");
    assert_eq!(device.subscribe("only/written", 1), NOT_AUTHORIZED);
    assert_eq!(device.subscribe("a/b", 1), 1);
    let mut writer = writer(&gateway);
    writer.publish("only/written", "no", 1);
    writer.publish("a/b", "yes", 1);
    expect_topics(&mut device, &["a/b"]);
    gateway.stop();
}

#[test]
fn rules_of_the_configuration_say_the_same_and_the_first_that_fits_decides_alone() {
    let rules = r#"
        [[access.rules]]
        who = { client = "sensor-*" }
        publish = "sensors/{client}/#"
        subscribe = ["commands/{client}/#"]
        [[access.rules]]
        who = { listener = "local" }
        subscribe = ["sensors/#"]
    "#;
    let gateway = Gateway::start(rules);
    let mut panel = Raw::clean(gateway.address(), V5, "panel");
    assert_eq!((panel.subscribe("#", 1), panel.subscribe("commands/#", 1)), (1, NOT_AUTHORIZED));
    let mut sensor = Raw::clean(gateway.address(), V5, "sensor-7");
    assert_eq!((sensor.subscribe("commands/+/on", 1), sensor.subscribe("sensors/#", 1)), (1, NOT_AUTHORIZED));
    sensor.publish("sensors/sensor-7/t", "21", 1);
    sensor.send(&wire::publish(V5, "sensors/sensor-8/t", "21").qos(1, 7).encode());
    assert_eq!(sensor.expect(wire::PUBACK).reason(), NOT_AUTHORIZED);
    expect_topics(&mut panel, &["sensors/sensor-7/t"]);
    gateway.stop();
}
