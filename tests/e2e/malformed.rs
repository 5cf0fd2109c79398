//! A device that breaks the protocol ends its own connection, with the reason where the protocol has one.

use std::time::Duration;

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{
    self, CONNACK, Connect, DISCONNECT, PUBLISH, Packet, Properties, V4, V5, Version, id, packet, publish,
};

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;
const TOPIC_NAME: u8 = 0x90;
const ALIAS: u8 = 0x94;
const TOO_LARGE: u8 = 0x95;

/// What it is, the version it is said in, first byte and body, the reason.
type Case = (&'static str, Version, u8, &'static [u8], u8);

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
fn a_malformed_connect_is_answered_where_its_version_is_known() {
    let gateway = Gateway::start("");
    let mut witness = Witness::new(&gateway);
    for (what, version, first, body, reason) in CONNECTS {
        let mut device = Raw::open(gateway.address(), *version);
        device.send(&packet(*first, body));
        let last_words = device.expect_close();
        match last_words.as_slice() {
            // Before the version is known there is nothing to say it in.
            [] => assert!(*reason == 0, "{what}: closed without CONNACK {reason:#x}"),
            [connack] => assert_eq!((connack.kind(), connack.reason()), (CONNACK, *reason), "{what}"),
            more => panic!("{what}: {more:?}"),
        }
        witness.assert_unharmed(what);
    }
    gateway.stop();
}

/// After a good CONNECT.
#[rustfmt::skip]
const PACKETS: &[Case] = &[
    ("a second CONNECT", V5, 0x10, b"\0\x04MQTT\x05\x02\0\0\0\0\x01c", PROTOCOL),
    ("a second CONNECT", V4, 0x10, b"\0\x04MQTT\x04\x02\0\0\0\x01c", PROTOCOL),
    ("packet type 0", V5, 0x00, b"", MALFORMED),
    ("packet type 0", V4, 0x00, b"", MALFORMED),
    ("CONNACK", V5, 0x20, b"\0\0\0", PROTOCOL),
    ("CONNACK", V4, 0x20, b"\0\0", PROTOCOL),
    ("SUBACK", V5, 0x90, b"\0\x01\0\0", PROTOCOL),
    ("SUBACK", V4, 0x90, b"\0\x01\0", PROTOCOL),
    ("UNSUBACK", V5, 0xB0, b"\0\x01\0\0", PROTOCOL),
    ("UNSUBACK", V4, 0xB0, b"\0\x01", PROTOCOL),
    ("PINGRESP", V5, 0xD0, b"", PROTOCOL),
    ("PINGRESP", V4, 0xD0, b"", PROTOCOL),
    ("AUTH", V5, 0xF0, b"", PROTOCOL),
    ("packet type 15", V4, 0xF0, b"", MALFORMED),
    ("PUBREL without its flag", V5, 0x60, b"\0\x01", MALFORMED),
    ("SUBSCRIBE without its flag", V5, 0x80, b"\0\x01\0\0\x01a\0", MALFORMED),
    ("SUBSCRIBE without its flag", V4, 0x80, b"\0\x01\0\x01a\0", MALFORMED),
    ("UNSUBSCRIBE without its flag", V4, 0xA0, b"\0\x01\0\x01a", MALFORMED),
    ("PUBACK with a flag", V5, 0x41, b"\0\x01", MALFORMED),
    ("PINGREQ with a flag", V5, 0xC1, b"", MALFORMED),
    ("PINGREQ with a body", V4, 0xC0, b"x", MALFORMED),
    ("DISCONNECT with a flag", V5, 0xE1, b"", MALFORMED),
    ("PUBLISH at QoS 3", V5, 0x36, b"\0\x01t\0\x01\0", MALFORMED),
    ("PUBLISH at QoS 3", V4, 0x36, b"\0\x01t\0\x01", MALFORMED),
    ("DUP at QoS 0", V5, 0x38, b"\0\x01t\0", MALFORMED),
    ("PUBLISH without anything", V5, 0x30, b"", MALFORMED),
    ("PUBLISH without anything", V4, 0x30, b"", MALFORMED),
    ("packet identifier 0", V5, 0x32, b"\0\x01t\0\0\0", PROTOCOL),
    ("packet identifier 0", V4, 0x34, b"\0\x01t\0\0", PROTOCOL),
    ("no packet identifier", V4, 0x32, b"\0\x01t", MALFORMED),
    ("a topic that is cut off", V4, 0x30, b"\0\x09t", MALFORMED),
    ("an empty topic without an alias", V5, 0x30, b"\0\0\0x", PROTOCOL),
    ("an empty topic", V4, 0x30, b"\0\0x", MALFORMED),
    ("a topic with #", V5, 0x30, b"\0\x03a/#\0", TOPIC_NAME),
    ("a topic with +", V4, 0x30, b"\0\x01+", TOPIC_NAME),
    ("a topic with U+0000", V5, 0x30, b"\0\x01\0\0", MALFORMED),
    ("a topic that is not UTF-8", V5, 0x30, b"\0\x02\xC3\x28\0", MALFORMED),
    ("a topic with a surrogate", V4, 0x30, b"\0\x03\xED\xA0\x80", MALFORMED),
    ("no property length", V5, 0x30, b"\0\x01t", MALFORMED),
    ("properties longer than the packet", V5, 0x30, b"\0\x01t\x7F", MALFORMED),
    ("an unknown property", V5, 0x30, b"\0\x01t\x02\x7F\0", MALFORMED),
    ("a property of CONNECT", V5, 0x30, b"\0\x01t\x05\x11\0\0\0\x01", MALFORMED),
    ("topic alias 0", V5, 0x30, b"\0\x01t\x03\x23\0\0", ALIAS),
    ("a topic alias above the maximum", V5, 0x30, b"\0\x01t\x03\x23\0\x11", ALIAS),
    ("a topic alias that was never set", V5, 0x30, b"\0\0\x03\x23\0\x01", PROTOCOL),
    ("an expiry interval twice", V5, 0x30, b"\0\x01t\x0A\x02\0\0\0\x01\x02\0\0\0\x01", PROTOCOL),
    ("payload format 2", V5, 0x30, b"\0\x01t\x02\x01\x02", PROTOCOL),
    ("a subscription identifier from a client", V5, 0x30, b"\0\x01t\x02\x0B\x01", PROTOCOL),
    ("a response topic with a wildcard", V5, 0x30, b"\0\x01t\x04\x08\0\x01#", PROTOCOL),
    ("half a user property", V5, 0x30, b"\0\x01t\x04\x26\0\x01a", MALFORMED),
    ("PUBACK without anything", V5, 0x40, b"", MALFORMED),
    ("PUBACK with identifier 0", V5, 0x40, b"\0\0", PROTOCOL),
    ("PUBACK with a reason of another packet", V5, 0x40, b"\0\x01\x92", PROTOCOL),
    ("PUBACK with a reason", V4, 0x40, b"\0\x01\0", MALFORMED),
    ("PUBREL of one byte", V4, 0x62, b"\0", MALFORMED),
    ("SUBSCRIBE without a filter", V5, 0x82, b"\0\x01\0", PROTOCOL),
    ("SUBSCRIBE without a filter", V4, 0x82, b"\0\x01", PROTOCOL),
    ("SUBSCRIBE with identifier 0", V4, 0x82, b"\0\0\0\x01a\0", PROTOCOL),
    ("SUBSCRIBE at QoS 3", V5, 0x82, b"\0\x01\0\0\x01a\x03", PROTOCOL),
    ("SUBSCRIBE at QoS 3", V4, 0x82, b"\0\x01\0\x01a\x03", MALFORMED),
    ("SUBSCRIBE with reserved option bits", V5, 0x82, b"\0\x01\0\0\x01a\x40", MALFORMED),
    ("SUBSCRIBE with retain handling 3", V5, 0x82, b"\0\x01\0\0\x01a\x30", PROTOCOL),
    ("no-local on a shared subscription", V5, 0x82, b"\0\x01\0\0\x0A$share/g/a\x04", PROTOCOL),
    ("subscription identifier 0", V5, 0x82, b"\0\x01\x02\x0B\0\0\x01a\0", PROTOCOL),
    ("a filter that is cut off", V4, 0x82, b"\0\x01\0\x05a", MALFORMED),
    ("UNSUBSCRIBE without a filter", V5, 0xA2, b"\0\x01\0", PROTOCOL),
    ("UNSUBSCRIBE that is cut off", V4, 0xA2, b"\0\x01\0\x02a", MALFORMED),
    ("DISCONNECT with a body", V4, 0xE0, b"\0", MALFORMED),
    ("DISCONNECT with a server's reason", V5, 0xE0, b"\x8B", PROTOCOL),
    ("DISCONNECT that asks for an expiry after none", V5, 0xE0, b"\0\x05\x11\0\0\0\x09", PROTOCOL),
];

/// As the first packet. Reason 0: the version never became known, so there is no answer.
#[rustfmt::skip]
const CONNECTS: &[Case] = &[
    ("PINGREQ first", V4, 0xC0, b"", 0),
    ("PUBLISH first", V5, 0x30, b"\0\x01t\0", 0),
    ("HTTP", V4, b'G', b"ET / HTTP/1.1\r\n\r\n", 0),
    ("TLS", V4, 0x16, b"\x01\0\x02", 0),
    ("nothing", V4, 0x10, b"", 0),
    ("CONNECT with a flag", V4, 0x11, b"\0\x04MQTT\x04\x02\0\0\0\x01c", 0),
    ("reserved connect flag", V4, 0x10, b"\0\x04MQTT\x04\x03\0\0\0\x01c", 3),
    ("reserved connect flag", V5, 0x10, b"\0\x04MQTT\x05\x03\0\0\0\0\x01c", MALFORMED),
    ("will QoS 3", V5, 0x10, b"\0\x04MQTT\x05\x1E\0\0\0\0\x01c\0\0\x01t\0\x01m", MALFORMED),
    ("a will that is missing", V5, 0x10, b"\0\x04MQTT\x05\x06\0\0\0\0\x01c", MALFORMED),
    ("a will topic with a wildcard", V5, 0x10, b"\0\x04MQTT\x05\x06\0\0\0\0\x01c\0\0\x01#\0\x01m", TOPIC_NAME),
    ("a client identifier that is not UTF-8", V5, 0x10, b"\0\x04MQTT\x05\x02\0\0\0\0\x01\xFF", MALFORMED),
    ("bytes left over", V5, 0x10, b"\0\x04MQTT\x05\x02\0\0\0\0\x01cx", MALFORMED),
    ("receive maximum 0", V5, 0x10, b"\0\x04MQTT\x05\x02\0\0\x03\x21\0\0\0\x01c", PROTOCOL),
    ("session expiry twice", V5, 0x10, b"\0\x04MQTT\x05\x02\0\0\x0A\x11\0\0\0\x01\x11\0\0\0\x01\0\x01c", PROTOCOL),
    ("an authentication method", V5, 0x10, b"\0\x04MQTT\x05\x02\0\0\x04\x15\0\x01x\0\x01c", 0x8C),
    ("no identifier and a session to keep", V4, 0x10, b"\0\x04MQTT\x04\0\0\0\0\0", 2),
    ("a password without a user name", V4, 0x10, b"\0\x04MQTT\x04\x42\0\0\0\x01c\0\x01p", 3),
];

#[test]
fn an_unsupported_version_is_told_so() {
    let gateway = Gateway::start("");
    let connects: [&[u8]; 3] =
        [b"\0\x04MQTT\x03\x02\0\0\0\x01c", b"\0\x04MQTT\x06\x02\0\0\0\0\x01c", b"\0\x06MQIsdp\x03\x02\0\0\0\x01c"];
    for connect in connects {
        let mut device = Raw::open(gateway.address(), V4);
        device.send(&packet(0x10, connect));
        let last_words = device.expect_close();
        assert_eq!(last_words.iter().map(Packet::reason).collect::<Vec<_>>(), [1], "[MQTT-3.1.2-2]");
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
