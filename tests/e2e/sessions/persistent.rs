//! A session that outlives its connection.

use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Connect, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, Properties, V4, V5, id, packet};

use super::talker;

#[test]
fn messages_wait_for_a_device_that_is_away() {
    let gateway = Gateway::start("");
    for version in [V4, V5] {
        let name = format!("sleeper {version:?}");
        let connect = Connect::new(version, &name).persistent(600);
        let (mut sleeper, connack) = Raw::connect(gateway.address(), &connect);
        assert!(!connack.session_present());
        sleeper.subscribe("t", 2);
        sleeper.leave();

        let mut talker = talker(&gateway);
        for (number, qos) in [0, 1, 2, 1, 2].into_iter().enumerate() {
            talker.publish("t", &number.to_string(), qos);
        }
        talker.expect_quiet();
        let (mut sleeper, connack) = Raw::connect(gateway.address(), &connect);
        assert!(connack.session_present());
        for (number, qos) in [(1, 1), (2, 2), (3, 1), (4, 2)] {
            let heard = sleeper.expect_delivery();
            assert_eq!((heard.payload, heard.qos), (number.to_string(), qos), "QoS 0 does not wait");
        }
        // A clean start ends it.
        drop(sleeper);
        drop(Raw::clean(gateway.address(), version, &name));
        let (mut sleeper, connack) = Raw::connect(gateway.address(), &connect);
        assert!(!connack.session_present());
        sleeper.expect_quiet();
    }
    gateway.stop();
}

#[test]
fn what_was_not_acknowledged_is_sent_again_with_its_identifier_and_dup() {
    let gateway = Gateway::start("");
    let connect = Connect::new(V5, "device").persistent(600);
    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    device.subscribe("t", 2);
    let mut talker = talker(&gateway);
    let sent: Vec<_> =
        [1, 2, 2].map(|qos| talker.publish("t", &format!("q{qos}"), qos)).map(|()| device.expect_delivery()).into();
    assert!(sent.iter().all(|heard| !heard.dup));
    // The second is received, the third is not.
    device.send(&wire::ack(PUBREC, sent[1].packet_id));
    assert_eq!(device.expect(PUBREL).packet_id(), sent[1].packet_id);
    drop(device);

    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    assert_eq!(device.expect(PUBREL).packet_id(), sent[1].packet_id, "after PUBREC only PUBREL is ever sent");
    let again = device.expect_delivery();
    assert_eq!((again.packet_id, again.dup, again.payload.as_str()), (sent[0].packet_id, true, "q1"));
    let again = device.expect_delivery();
    assert_eq!((again.packet_id, again.dup), (sent[2].packet_id, true));
    device.send(&wire::ack(PUBCOMP, sent[1].packet_id));
    device.expect_quiet();
    gateway.stop();
}

#[test]
fn what_is_sent_again_keeps_to_the_receive_maximum_and_the_packet_size_of_the_new_connection() {
    let gateway = Gateway::start("");
    let connect = Connect::new(V5, "device").persistent(600);
    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    device.subscribe("t", 1);
    let mut talker = talker(&gateway);
    for index in 0..3 {
        talker.publish("t", &format!("{index}{:40}", ""), 1);
        device.expect_delivery();
    }
    drop(device);

    let (mut device, _) =
        Raw::connect(gateway.address(), &connect.clone().with(|with| with.short(id::RECEIVE_MAXIMUM, 2)));
    let first = device.expect_delivery();
    device.expect_delivery();
    device.expect_quiet();
    device.send(&wire::ack(PUBACK, first.packet_id));
    assert!(device.expect_delivery().payload.starts_with('2'));
    drop(device);

    // None of them fits: they count as delivered [MQTT-3.1.2-25], and the session goes on.
    let (mut device, _) = Raw::connect(gateway.address(), &connect.with(|with| with.long(id::MAXIMUM_PACKET_SIZE, 30)));
    device.expect_quiet();
    gateway.stop();
}

#[test]
fn a_qos_2_message_is_one_message_across_a_reconnect() {
    let gateway = Gateway::start("");
    let mut listener = super::listener(&gateway, "t", 2);
    let connect = Connect::new(V5, "device").persistent(600);
    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    let publish = wire::publish(V5, "t", "once").qos(2, 7);
    device.send(&publish.encode());
    device.expect(PUBREC);
    drop(device);

    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    device.send(&publish.clone().dup().encode());
    assert_eq!(device.expect(PUBREC).packet_id(), 7);
    // Without DUP too: the identifier decides, not the flag.
    device.send(&publish.encode());
    device.expect(PUBREC);
    device.send(&wire::ack(PUBREL, 7));
    assert_eq!(device.expect(PUBCOMP).reason(), 0);
    device.send(&wire::ack(PUBREL, 7));
    assert_eq!(device.expect(PUBCOMP).reason(), 0x92, "released already");
    let heard = listener.expect_delivery();
    listener.acknowledge(&heard);
    listener.expect_quiet();
    assert_eq!(gateway.stop()["received"], 1);
}

#[test]
fn dup_on_an_unknown_identifier_is_a_new_message() {
    let gateway = Gateway::start("");
    let mut listener = super::listener(&gateway, "t", 0);
    let mut device = talker(&gateway);
    for (qos, packet_id) in [(1, 5), (2, 6)] {
        device.send(&wire::publish(V4, "t", "new").qos(qos, packet_id).dup().encode());
        device.finish_publish(qos, packet_id);
        let heard = listener.expect_delivery();
        assert_eq!((heard.payload.as_str(), heard.dup), ("new", false), "DUP is not handed on [MQTT-3.3.1-3]");
    }
    gateway.stop();
}

#[test]
fn a_session_ends_when_its_expiry_has_passed() {
    let gateway = Gateway::start("");
    let connect = |expiry| Connect::new(V5, "device").persistent(expiry);
    soon("a session of one second ends", || {
        drop(Raw::connect(gateway.address(), &connect(1)));
        // Each look begins a new second, so the look itself must take longer than the session lives.
        let (mut other, _) = Raw::connect(gateway.address(), &Connect::new(V5, "clock").keep_alive(1));
        other.expect_close();
        !Raw::connect(gateway.address(), &connect(1)).1.session_present()
    });
    gateway.stop();
}

#[test]
fn a_device_may_choose_another_expiry_when_it_leaves() {
    let gateway = Gateway::start("");
    let connect = Connect::new(V5, "device").persistent(600);
    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    let expiry = Properties::new().long(id::SESSION_EXPIRY, 0);
    device.send(&packet(0xE0, &[&[0], expiry.encode().as_slice()].concat()));
    device.expect_close();
    soon("the session is gone", || !Raw::connect(gateway.address(), &connect).1.session_present());
    gateway.stop();
}

#[test]
fn a_message_that_expires_while_it_waits_is_not_delivered_and_another_says_how_long_it_has() {
    let gateway = Gateway::start("");
    let connect = Connect::new(V5, "sleeper").persistent(600);
    let (mut sleeper, _) = Raw::connect(gateway.address(), &connect);
    sleeper.subscribe("t", 1);
    sleeper.leave();
    let mut device = Raw::clean(gateway.address(), V5, "device");
    for (packet_id, seconds) in [(1, 1), (2, 600)] {
        let expiry = Properties::new().long(id::EXPIRY, seconds);
        device.send(&wire::publish(V5, "t", seconds.to_string()).qos(1, packet_id).with(expiry).encode());
        device.finish_publish(1, packet_id);
    }
    // A keep-alive of one second ends after one and a half: the first message is over by then.
    Raw::connect(gateway.address(), &Connect::new(V5, "clock").keep_alive(1)).0.expect_close();
    let (mut sleeper, _) = Raw::connect(gateway.address(), &connect);
    let heard = sleeper.expect(PUBLISH).delivered(V5);
    assert_eq!(heard.payload, "600");
    assert!(heard.properties.number(id::EXPIRY).is_some_and(|left| left < 600), "{heard:?}");
    gateway.stop();
}
