//! A retained message is delivered as long as its publisher may publish it: from whom a right has been taken does not speak on through what
//! is kept of it. As mosquitto does with `check_retain_source`, which is on there, for those who have user names.

use std::net::SocketAddr;

use tidegate_tests::eventually::soon;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Connect, V4, V5, Will};

use super::*;

const BOTH: &str = "pattern readwrite own/%c/#\ntopic readwrite all/#\ntopic read #\n";
const READ_ONLY: &str = "pattern readwrite own/%c/#\ntopic read #\n";

fn keep(broker: SocketAddr, client: &str, topics: &[&str]) {
    let mut device = Raw::clean(broker, V5, client);
    for topic in topics {
        device.send(&wire::publish(V5, topic, "x").qos(1, 1).retain().encode());
        device.finish_publish(1, 1);
    }
    device.leave();
}

/// What a new subscriber gets of what is retained.
fn kept(broker: SocketAddr, version: wire::Version) -> Vec<String> {
    let mut subscriber = Raw::clean(broker, version, "new");
    subscriber.subscribe("#", 1);
    let mut topics = heard(&mut subscriber);
    topics.sort();
    subscriber.leave();
    topics
}

#[test]
fn what_is_retained_of_a_device_whose_right_was_taken_goes_to_nobody_until_it_has_it_again() {
    let gateway = start(BOTH);
    keep(gateway.address(), "dev", &["all/dev", "own/dev/a"]);
    keep(gateway.address(), "other", &["all/other"]);
    assert_eq!(kept(gateway.address(), V5), ["all/dev", "all/other", "own/dev/a"]);
    let expect = |expected: &[&str]| {
        for version in [V4, V5] {
            assert_eq!(kept(gateway.address(), version), expected);
        }
    };
    change_acl(&gateway, READ_ONLY);
    expect(&["own/dev/a"]);
    change_acl(&gateway, BOTH);
    expect(&["all/dev", "all/other", "own/dev/a"]);
    assert!(gateway.stop()["subscriber_denied"] >= 4);
}

#[test]
fn a_restart_knows_of_whom_it_is() {
    let home = Home::new(PEOPLE);
    fs::write(home.path().join("acl"), BOTH).unwrap();
    let mut gateway = Gateway::launch(&Arc::new(home), &Launch::default());
    let will = Will::new("all/will", "x").qos(1).retain();
    let (device, _) = Raw::connect(gateway.address(), &Connect::new(V5, "leaves").will(will));
    keep(gateway.address(), "dev", &["all/dev", "own/dev/a"]);
    keep(gateway.address(), "writer", &["all/writer"]);
    drop(device);
    soon("the will is kept", || kept(gateway.address(), V5).len() == 4);
    fs::write(gateway.home().path().join("acl"), READ_ONLY).unwrap();
    gateway.crash();
    // `writer` has a rule of its own, which nobody has taken away.
    assert_eq!(kept(gateway.address(), V5), ["all/writer", "own/dev/a"]);
    gateway.stop();
}

#[test]
fn what_a_binding_has_made_of_it_is_as_the_configuration_says() {
    let binding = "[[bindings]]\nname = \"b\"\ntopic = \"all/#\"\nto = [{ local = true, topic = \"state/{topic}\" }]\n";
    let gateway = start_with(BOTH, binding);
    keep(gateway.address(), "dev", &["all/dev"]);
    soon("it is republished", || kept(gateway.address(), V5).len() == 2);
    change_acl(&gateway, READ_ONLY);
    assert_eq!(kept(gateway.address(), V5), ["state/all/dev"]);
    gateway.stop();
}
