//! A device that breaks the protocol ends its own connection, with the reason where the protocol has one.

mod cases;

use std::time::Duration;

use cases::{CONNECTS, PACKETS, TOO_LARGE};
use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{
    self, CONNACK, Connect, DISCONNECT, PUBLISH, Packet, Properties, V4, V5, id, packet, publish,
};

/// Somebody who must not notice.
struct Witness(Raw);

impl Witness {
    fn new(gateway: &Gateway) -> Self {
        let mut raw = Raw::clean(gateway.address(), V5, "witness");
        raw.subscribe("witness", 1);
        Self(raw)
    }

    fn assert_unharmed(&mut self, after: &str) {
        self.0.send(&publish(V5, "witness", after).encode());
        assert_eq!(self.0.expect_delivery().payload, after);
    }
}

#[test]
fn a_malformed_packet_ends_its_connection_with_the_reason() {
    let gateway = Gateway::start("");
    let mut witness = Witness::new(&gateway);
    for (what, version, first, body, reason) in PACKETS {
        let mut device = Raw::clean(gateway.address(), *version, "device");
        device.send(&packet(*first, body));
        let last_words: Vec<(u8, u8)> =
            device.expect_close().iter().map(|packet| (packet.kind(), packet.reason())).collect();
        // MQTT 3.1.1 has no DISCONNECT from the server.
        let expected = if *version == V5 { vec![(DISCONNECT, *reason)] } else { vec![] };
        assert_eq!(last_words, expected, "{what}, {version:?}");
        witness.assert_unharmed(what);
    }
    assert!(gateway.stop()["connections_refused"] as usize >= PACKETS.len());
}

#[test]
fn a_malformed_connect_is_answered_where_its_version_has_an_answer() {
    let gateway = Gateway::start("");
    let mut witness = Witness::new(&gateway);
    for (what, version, first, body, reason) in CONNECTS {
        let mut device = Raw::open(gateway.address(), *version);
        device.send(&packet(*first, body));
        let last_words = device.expect_close();
        match last_words.as_slice() {
            [] => assert!(*reason == 0, "{what}: closed without CONNACK {reason:#x}"),
            [connack] => assert_eq!((connack.kind(), connack.reason()), (CONNACK, *reason), "{what}"),
            more => panic!("{what}: {more:?}"),
        }
        witness.assert_unharmed(what);
    }
    gateway.stop();
}

#[test]
fn an_unsupported_version_is_told_so() {
    let gateway = Gateway::start("");
    // What is later than 5 is answered as 5 does, what is earlier as 3.1.1.
    let connects: [(&[u8], u8); 3] = [
        (b"\0\x04MQTT\x03\x02\0\0\0\x01c", 0x01),
        (b"\0\x04MQTT\x06\x02\0\0\0\0\x01c", 0x84),
        (b"\0\x06MQIsdp\x03\x02\0\0\0\x01c", 0x01),
    ];
    for (connect, answer) in connects {
        let mut device = Raw::open(gateway.address(), V4);
        device.send(&packet(0x10, connect));
        let last_words = device.expect_close();
        assert_eq!(last_words.iter().map(Packet::reason).collect::<Vec<_>>(), [answer], "[MQTT-3.1.2-2]");
    }
    gateway.stop();
}

#[test]
fn a_packet_above_the_cap_is_refused_before_it_is_there() {
    let gateway = Gateway::start("[broker.limits]\nmax_packet_size = \"1KiB\"\n");
    let mut witness = Witness::new(&gateway);
    let (mut device, connack) = Raw::connect(gateway.address(), &Connect::new(V5, "device"));
    assert_eq!(connack.connack_properties().number(id::MAXIMUM_PACKET_SIZE), Some(1024));
    let largest = 1024 - (3 + 3 + 1);
    device.send(&publish(V5, "t", "x".repeat(largest)).encode());
    device.expect_quiet();
    // The length alone, of 256 MiB: no payload follows, and none is waited for.
    device.send(b"\x30\xFF\xFF\xFF\x7F");
    assert_eq!(device.expect_close().last().map(Packet::reason), Some(TOO_LARGE));
    let mut old = Raw::clean(gateway.address(), V4, "old");
    old.send(&publish(V4, "t", "x".repeat(2_000)).encode());
    assert_eq!(old.expect_close(), []);
    witness.assert_unharmed("large packets");
    gateway.stop();
}

#[test]
fn who_does_not_connect_in_time_is_closed_and_holds_up_nobody() {
    let gateway = Gateway::start("[broker.limits]\nhandshake_timeout = \"1s\"\n");
    let mut silent = Raw::open(gateway.address(), V5);
    let mut slow = Raw::open(gateway.address(), V5);
    let connect = Connect::new(V5, "slow").encode();
    slow.send(&connect[..5]);
    Witness::new(&gateway).assert_unharmed("silent connections");
    // A byte now and then does not buy more time.
    for byte in &connect[5..connect.len() - 1] {
        slow.send(&[*byte]);
        if slow.next(Duration::from_millis(200)) == Next::Closed {
            break;
        }
    }
    assert_eq!(slow.expect_close(), []);
    assert_eq!(silent.expect_close(), []);
    assert_eq!(gateway.stop()["connections_refused"], 2);
}

#[test]
fn connections_are_capped_and_a_place_that_is_left_is_free_again() {
    let gateway = Gateway::start("[broker.limits]\nmax_connections = 2\n");
    let mut first = Raw::clean(gateway.address(), V5, "first");
    let second = Raw::clean(gateway.address(), V5, "second");
    let mut third = Raw::open(gateway.address(), V5);
    third.send(&Connect::new(V5, "third").encode());
    assert_eq!(third.expect_close(), []);
    second.leave();
    tidegate_tests::eventually::soon("a place is free", || {
        let mut third = Raw::open(gateway.address(), V5);
        third.send(&Connect::new(V5, "third").encode());
        matches!(third.next(Duration::from_secs(5)), Next::Packet(packet) if packet.reason() == 0)
    });
    first.expect_quiet();
    gateway.stop();
}

#[test]
fn silence_ends_a_connection_after_its_keep_alive_and_never_without_one() {
    let gateway = Gateway::start("");
    let (mut patient, _) = Raw::connect(gateway.address(), &Connect::new(V5, "patient").keep_alive(0));
    let (mut short, _) = Raw::connect(gateway.address(), &Connect::new(V5, "short").keep_alive(1));
    let (mut old, _) = Raw::connect(gateway.address(), &Connect::new(V4, "old").keep_alive(1));
    assert_eq!(short.expect_close().last().map(Packet::reason), Some(0x8D));
    assert_eq!(old.expect_close(), []);
    patient.expect_quiet();
    gateway.stop();
}

#[test]
fn a_packet_may_arrive_byte_by_byte() {
    let gateway = Gateway::start("");
    let mut device = Raw::open(gateway.address(), V5);
    let subscribe = wire::subscribe(V5, 1, &Properties::new(), &[("t", 0)]);
    let all = [Connect::new(V5, "device").encode(), subscribe, publish(V5, "t", "whole").encode()].concat();
    for byte in all {
        device.send(&[byte]);
    }
    device.expect(CONNACK);
    device.expect(wire::SUBACK);
    assert_eq!(device.expect(PUBLISH).delivered(V5).payload, "whole");
    gateway.stop();
}
