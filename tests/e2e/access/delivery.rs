//! Each message is asked for when it is delivered: a wildcard subscription is no way around a rule.

use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Connect, V4, V5};

use super::*;

const ACL: &str = "topic deny plant/secret/#\ntopic read plant/#\n";

#[test]
fn a_forbidden_retained_message_below_a_wildcard_is_not_replayed() {
    let gateway = start(ACL);
    let mut writer = writer(&gateway);
    for topic in ["plant/a", "plant/secret", "plant/secret/key", "plant/z", "other"] {
        writer.send(&wire::publish(V5, topic, "x").qos(1, 1).retain().encode());
        writer.finish_publish(1, 1);
    }
    for version in [V4, V5] {
        for expiry in [0, 600] {
            let connect = Connect::new(version, &format!("dev{expiry}"));
            let connect = if expiry > 0 { connect.persistent(expiry) } else { connect };
            let (mut device, _) = Raw::connect(gateway.address(), &connect);
            assert_eq!(device.subscribe("#", 1), 1);
            expect_topics(&mut device, &["plant/a", "plant/z"]);
            device.leave();
            gateway.expect_departure(&format!("dev{expiry}"));
        }
    }
    gateway.stop();
}

#[test]
fn a_live_message_is_kept_from_those_who_may_not_have_it_at_each_qos() {
    let gateway = start(ACL);
    let mut watcher = watcher(&gateway);
    let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(V5, "dev").persistent(600));
    let mut passing = Raw::clean(gateway.address(), V4, "passing");
    for subscriber in [&mut device, &mut passing] {
        assert_eq!(subscriber.subscribe("#", 2), 2);
    }
    let mut writer = writer(&gateway);
    for qos in [0, 1, 2] {
        writer.publish("plant/secret/key", "no", qos);
        writer.publish("plant/a", "yes", qos);
    }
    expect_topics(&mut device, &["plant/a"; 3]);
    expect_topics(&mut passing, &["plant/a"; 3]);
    assert_eq!(heard(&mut watcher).len(), 6);
    drop((device, passing, watcher, writer));
    assert!(gateway.stop()["subscriber_denied"] >= 6);
}

#[test]
fn what_one_may_not_have_takes_no_room_of_what_waits_for_him() {
    let gateway = start_with(ACL, "[broker.limits]\nmax_queued_messages = 3\n");
    let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(V5, "dev").persistent(600));
    device.subscribe("#", 1);
    device.leave();
    gateway.expect_departure("dev");
    let mut writer = writer(&gateway);
    (0..10).for_each(|_| writer.publish("plant/secret/key", "no", 1));
    (0..3).for_each(|_| writer.publish("plant/a", "yes", 1));
    let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(V5, "dev").persistent(600));
    expect_topics(&mut device, &["plant/a"; 3]);
    drop((device, writer));
    assert_eq!(gateway.stop()["subscriber_dropped"], 0);
}
