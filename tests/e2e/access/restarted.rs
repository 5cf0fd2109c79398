//! After a restart a session and a will belong to whom they belonged to.

use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Connect, V5, Will};

use super::*;

/// For who came through this listener: a session whose listener was forgotten would have nothing.
const RULES: &str = r##"
[access]
acl_file = "acl"
[[access.rules]]
who = { client = "dev", listener = "local" }
publish = ["gone/#"]
subscribe = ["work/+"]
[[access.rules]]
who = { client = "watcher" }
subscribe = ["#"]
"##;

#[test]
fn messages_for_a_session_that_is_away_are_asked_for_with_its_identity() {
    let home = Home::new(RULES);
    fs::write(home.path().join("acl"), "topic write #\n").unwrap();
    let mut gateway = Gateway::launch(&Arc::new(home), &Launch::default());
    let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(V5, "dev").persistent(600));
    assert_eq!(device.subscribe("#", 1), 1);
    device.leave();
    gateway.expect_departure("dev");
    let mut writer = Raw::clean(gateway.address(), V5, "anybody");
    writer.publish("work/before", "x", 1);
    gateway.crash();
    let mut writer = Raw::clean(gateway.address(), V5, "anybody");
    writer.publish("work/behind", "x", 1);
    writer.publish("secret", "x", 1);
    let (mut device, connack) = Raw::connect(gateway.address(), &Connect::new(V5, "dev").persistent(600));
    assert!(connack.session_present());
    expect_topics(&mut device, &["work/before", "work/behind"]);
    gateway.stop();
}

#[test]
fn the_will_of_a_device_that_was_connected_is_published_with_its_identity() {
    let home = Home::new(RULES);
    fs::write(home.path().join("acl"), "topic write nothing\n").unwrap();
    let mut gateway = Gateway::launch(&Arc::new(home), &Launch::default());
    // Of sessions that end with their connections, which only their wills know of.
    let connect = Connect::new(V5, "dev").will(Will::new("gone/dev", "x").qos(1));
    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    // Retained: what is acknowledged is in the log then, and the will, which came before it, too.
    device.send(&wire::publish(V5, "gone/on", "x").qos(1, 9).retain().encode());
    device.finish_publish(1, 9);
    gateway.crash();
    let mut watcher = Raw::clean(gateway.address(), V5, "watcher");
    watcher.subscribe("gone/dev", 1);
    assert_eq!(watcher.expect_delivery().topic, "gone/dev");
    gateway.stop();
}
