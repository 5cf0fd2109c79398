//! A will is a message of its device: asked for when the device connects, and again when it is due.

use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Connect, Properties, V4, V5, Will, id};

use super::*;

const MINE: &str = "pattern readwrite mine/%c/#\n";

#[test]
fn a_will_that_its_device_may_not_publish_is_never_published_and_keeps_nobody_out() {
    let gateway = start(MINE);
    let mut watcher = watcher(&gateway);
    for version in [V4, V5] {
        for topic in ["yours/gone", "mine/dev/gone"] {
            let connect = Connect::new(version, "dev").will(Will::new(topic, "x").qos(1));
            drop(Raw::connect(gateway.address(), &connect));
            gateway.expect_departure("dev");
        }
    }
    assert_eq!(watcher.expect_delivery().topic, "mine/dev/gone");
    gateway.expect_log(&["the will of this client is never published", "yours/gone"]);
    drop(watcher);
    assert_eq!(gateway.stop()["acl_denied"], 2);
}

#[test]
fn a_will_is_asked_for_again_when_it_is_due() {
    let gateway = start(MINE);
    let mut watcher = watcher(&gateway);
    let will = |client| Will::new(&format!("mine/{client}/gone"), "x").qos(1);
    let delayed = will("dev2").with(Properties::new().long(id::WILL_DELAY, 5));
    let (connected, _) = Raw::connect(gateway.address(), &Connect::new(V5, "dev").will(will("dev")));
    let (waits, _) = Raw::connect(gateway.address(), &Connect::new(V5, "dev2").persistent(600).will(delayed));
    drop(waits);
    gateway.expect_departure("dev2");
    change_acl(&gateway, "topic read nothing\n");
    drop(connected);
    gateway.expect_log(&["the will of this client is not published", "client=\"dev\""]);
    gateway.expect_log(&["the will of this client is not published", "client=\"dev2\""]);
    watcher.expect_quiet();
    drop(watcher);
    let counters = gateway.stop();
    assert_eq!((counters["acl_denied"], counters["internal"]), (2, 2));
}
