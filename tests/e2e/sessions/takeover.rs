//! One client identifier, one connection.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{CONNACK, Connect, DISCONNECT, GOODBYE, V4, V5, Will, id, publish};

use super::{listener, talker};

#[test]
fn a_second_connection_takes_the_session_over() {
    let gateway = Gateway::start("");
    for version in [V4, V5] {
        let connect = Connect::new(version, &format!("{version:?}")).persistent(60);
        let (mut first, _) = Raw::connect(gateway.address(), &connect);
        first.subscribe("t", 1);
        let (mut second, connack) = Raw::connect(gateway.address(), &connect);
        assert!(connack.session_present());
        let last_words: Vec<_> = first.expect_close().iter().map(|packet| (packet.kind(), packet.reason())).collect();
        assert_eq!(last_words, if version == V5 { vec![(DISCONNECT, 0x8E)] } else { vec![] });
        talker(&gateway).publish("t", "x", 1);
        assert_eq!(second.expect_delivery().payload, "x", "the subscription came along");
    }
    gateway.stop();
}

#[test]
fn a_device_that_is_taken_over_leaves_its_will() {
    let gateway = Gateway::start("");
    let mut listener = listener(&gateway, "will", 0);
    let connect = Connect::new(V5, "device").will(Will::new("will", "taken over"));
    let first = Raw::connect(gateway.address(), &connect);
    let _second = Raw::clean(gateway.address(), V5, "device");
    assert_eq!(listener.expect_delivery().payload, "taken over");
    drop(first);
    gateway.stop();
}

#[test]
fn what_a_device_said_before_it_connected_again_is_heard() {
    let gateway = Gateway::start("");
    let mut listener = listener(&gateway, "#", 0);
    for round in 0..50 {
        let round = round.to_string();
        let connect = Connect::new(V4, "device").will(Will::new("will", &round));
        let (mut device, _) = Raw::connect(gateway.address(), &connect);
        // In one write: the gateway has read nothing of it when the next connection comes.
        device.send(&[publish(V4, "t", &round).encode().as_slice(), GOODBYE].concat());
        let next = Raw::clean(gateway.address(), V4, "device");
        let heard = listener.expect_delivery();
        assert_eq!((heard.topic.as_str(), heard.payload), ("t", round), "and no will, after a good-bye");
        next.leave();
    }
    listener.expect_quiet();
    gateway.stop();
}

#[test]
fn many_connections_under_one_name_leave_exactly_one() {
    let gateway = Gateway::start("");
    let connect = Connect::new(V5, "device").persistent(60);
    let mut all: Vec<Raw> = (0..10).map(|_| Raw::open(gateway.address(), V5)).collect();
    all.iter_mut().for_each(|raw| raw.send(&connect.encode()));
    all.iter_mut().for_each(|raw| assert_eq!(raw.expect(CONNACK).reason(), 0));
    // Whoever was welcomed last has the session, and it cannot be told who: so one more.
    let (mut last, _) = Raw::connect(gateway.address(), &connect);
    for mut raw in all {
        assert_eq!(raw.expect_close().last().map(|packet| packet.reason()), Some(0x8E));
    }
    last.expect_quiet();
    gateway.stop();
}

#[test]
fn a_device_without_a_name_is_given_one() {
    let gateway = Gateway::start("");
    let names: Vec<String> = (0..2)
        .map(|_| Raw::connect(gateway.address(), &Connect::new(V5, "")).1)
        .map(|connack| connack.connack_properties().string(id::ASSIGNED_CLIENT_ID).expect("a name"))
        .collect();
    assert_ne!(names[0], names[1]);
    Raw::clean(gateway.address(), V4, "").expect_quiet();
    gateway.stop();
}
