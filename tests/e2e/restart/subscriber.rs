//! A local subscriber with a session that outlives its connection: subscriptions, what waits for it, and where it stands with
//! what it was sent.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{
    Connect, DISCONNECT, PUBCOMP, PUBREC, PUBREL, Properties, UNSUBACK, V4, V5, Will, ack, id, packet, unsubscribe,
};

use super::{back, keeping, new, settle, talker};

#[test]
fn a_subscription_is_there_after_a_crash_with_its_options_and_one_that_was_cancelled_is_not() {
    let mut gateway = Gateway::start("");
    for version in [V4, V5] {
        let name = format!("{version:?}");
        let mut device = new(&gateway, version, &name);
        device.subscribe("kept/+", 1);
        device.subscribe("cancelled", 1);
        device.send(&unsubscribe(version, 99, &["cancelled"]));
        device.expect(UNSUBACK);
        gateway.crash();

        let mut device = back(&gateway, version, &name);
        let mut talker = talker(&gateway);
        talker.publish("cancelled", "not heard", 1);
        talker.publish("kept/a", "heard", 2);
        let heard = device.expect_delivery();
        assert_eq!((heard.payload.as_str(), heard.qos), ("heard", 1));
        device.acknowledge(&heard);
        device.expect_quiet();
    }
    gateway.stop();
}

#[test]
fn what_waits_for_a_device_that_is_away_waits_on_over_a_crash_in_its_order() {
    let mut gateway = Gateway::start("");
    for version in [V4, V5] {
        let name = format!("{version:?}");
        let mut device = new(&gateway, version, &name);
        device.subscribe("t", 2);
        device.leave();
        let mut sent = Vec::new();
        for round in 0..2 {
            let mut talker = talker(&gateway);
            for (number, qos) in [1, 2, 2, 1].into_iter().enumerate() {
                talker.publish("t", &format!("{round} {number}"), qos);
                sent.push((format!("{round} {number}"), qos));
            }
            gateway.crash();
        }
        let mut device = back(&gateway, version, &name);
        let heard: Vec<_> = sent.iter().map(|_| device.expect_delivery()).collect();
        heard.iter().for_each(|heard| device.acknowledge(heard));
        let heard: Vec<_> = heard.into_iter().map(|heard| (heard.payload, heard.qos)).collect();
        assert_eq!(heard, sent);
        device.expect_quiet();

        // What was acknowledged does not come back.
        drop(device);
        settle(&gateway);
        gateway.crash();
        back(&gateway, version, &name).expect_quiet();
    }
    gateway.stop();
}

#[test]
fn what_was_sent_is_sent_again_with_its_identifier_and_after_pubrec_only_the_release() {
    let mut gateway = Gateway::start("");
    for version in [V4, V5] {
        let name = format!("{version:?}");
        let mut device = new(&gateway, version, &name);
        device.subscribe("t", 2);
        let mut talker = talker(&gateway);
        let sent: Vec<_> =
            [1, 2, 2].map(|qos| talker.publish("t", &format!("q{qos}"), qos)).map(|()| device.expect_delivery()).into();
        device.send(&ack(PUBREC, sent[1].packet_id));
        assert_eq!(device.expect(PUBREL).packet_id(), sent[1].packet_id);
        gateway.crash();

        let mut device = back(&gateway, version, &name);
        assert_eq!(device.expect(PUBREL).packet_id(), sent[1].packet_id);
        for before in [&sent[0], &sent[2]] {
            let again = device.expect_delivery();
            assert_eq!((again.packet_id, again.dup, &again.payload), (before.packet_id, true, &before.payload));
            device.acknowledge(&again);
        }
        device.send(&ack(PUBCOMP, sent[1].packet_id));
        device.expect_quiet();
        settle(&gateway);
        gateway.crash();
        back(&gateway, version, &name).expect_quiet();
    }
    gateway.stop();
}

#[test]
fn a_session_that_was_ended_or_never_kept_is_not_there_after_a_crash() {
    let mut gateway = Gateway::start("");
    for version in [V4, V5] {
        let (ended, clean) = (format!("{version:?} ended"), format!("{version:?} clean"));
        new(&gateway, version, &ended).subscribe("t", 1);
        drop(Raw::clean(gateway.address(), version, &ended));
        let mut guest = Raw::clean(gateway.address(), version, &clean);
        guest.subscribe("t", 1);
        talker(&gateway).publish("t", "x", 1);
        settle(&gateway);
        gateway.crash();
        for client in [&ended, &clean] {
            new(&gateway, version, client).expect_quiet();
        }
    }
    gateway.stop();
}

#[test]
fn a_session_that_expires_meanwhile_is_gone_and_its_will_is_published() {
    let mut gateway = Gateway::start("");
    let will = Will::new("will", "gone").qos(1).with(Properties::new().long(id::WILL_DELAY, 600));
    let short = Connect::new(V5, "device").persistent(1).will(will);
    let mut listener = new(&gateway, V5, "listener");
    listener.subscribe("will", 1);
    let (mut device, _) = Raw::connect(gateway.address(), &short);
    device.subscribe("t", 1);
    // Good-bye with the will, which waits for its delay or for the end of the session.
    device.send(&packet(DISCONNECT << 4, &[0x04]));
    device.expect_close();
    // Its socket is closed before its will is put aside, and only what is put aside is written.
    gateway.expect_departure("device");
    settle(&gateway);
    gateway.crash();

    let mut listener = back(&gateway, V5, "listener");
    let heard = listener.expect_delivery();
    assert_eq!(heard.payload, "gone");
    listener.acknowledge(&heard);
    // Its PUBACK is read, and then written: without either it would rightly be told once more.
    listener.expect_quiet();
    settle(&gateway);
    let (_, connack) = Raw::connect(gateway.address(), &keeping(V5, "device"));
    assert!(!connack.session_present());
    gateway.crash();
    back(&gateway, V5, "listener").expect_quiet();
    gateway.stop();
}
