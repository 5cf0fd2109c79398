//! Receive Maximum in both directions, packet sizes, aliases, slow readers.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{self, Connect, DISCONNECT, PUBACK, PUBCOMP, PUBREC, PUBREL, Properties, V5, id};

use super::{listener, talker};

#[test]
fn the_gateway_keeps_to_the_receive_maximum_of_the_device() {
    let gateway = Gateway::start("");
    let connect = Connect::new(V5, "device").with(|properties| properties.short(id::RECEIVE_MAXIMUM, 2));
    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    device.subscribe("t", 2);
    let mut talker = talker(&gateway);
    for number in 0..5 {
        talker.publish("t", &number.to_string(), 1 + number % 2);
    }
    let first = device.expect_delivery();
    let second = device.expect_delivery();
    device.expect_quiet();
    device.send(&wire::ack(PUBACK, first.packet_id));
    let third = device.expect_delivery();
    assert_eq!(third.payload, "2");
    // QoS 2 has its place until PUBCOMP.
    device.send(&wire::ack(PUBREC, second.packet_id));
    device.expect(PUBREL);
    device.expect_quiet();
    device.send(&wire::ack(PUBCOMP, second.packet_id));
    assert_eq!(device.expect_delivery().payload, "3");
    gateway.stop();
}

#[test]
fn a_device_that_goes_beyond_our_receive_maximum_is_told_and_closed() {
    let gateway = Gateway::start("[broker.limits]\nreceive_maximum = 3\n");
    let (mut device, connack) = Raw::connect(gateway.address(), &Connect::new(V5, "device"));
    assert_eq!(connack.connack_properties().number(id::RECEIVE_MAXIMUM), Some(3));
    // QoS 2 without PUBREL: each keeps its place.
    for packet_id in 1..=4 {
        device.send(&wire::publish(V5, "t", "x").qos(2, packet_id).encode());
    }
    let last_words = device.expect_close();
    assert_eq!(last_words.last().map(|packet| (packet.kind(), packet.reason())), Some((DISCONNECT, 0x93)));
    gateway.stop();
}

#[test]
fn a_topic_alias_stands_for_its_topic_on_its_connection() {
    let gateway = Gateway::start("");
    let mut listener = listener(&gateway, "#", 0);
    let (mut device, connack) = Raw::connect(gateway.address(), &Connect::new(V5, "device"));
    let maximum = connack.connack_properties().number(id::TOPIC_ALIAS_MAXIMUM).unwrap_or(0);
    assert!(maximum >= 2, "{maximum}");
    let alias = |number| Properties::new().short(id::TOPIC_ALIAS, number);
    for (topic, number, meant) in
        [("a", 1, "a"), ("b", 2, "b"), ("", 1, "a"), ("", 2, "b"), ("c", 1, "c"), ("", 1, "c")]
    {
        device.send(&wire::publish(V5, topic, "x").with(alias(number)).encode());
        let heard = listener.expect_delivery();
        assert_eq!(heard.topic, meant);
        assert_eq!(heard.properties.number(id::TOPIC_ALIAS), None, "an alias belongs to one connection");
    }
    gateway.stop();
}

#[test]
fn a_packet_that_is_too_large_for_a_device_is_left_out() {
    let gateway = Gateway::start("");
    let connect = Connect::new(V5, "small").with(|properties| properties.long(id::MAXIMUM_PACKET_SIZE, 100));
    let (mut small, _) = Raw::connect(gateway.address(), &connect);
    small.subscribe("t", 2);
    let mut talker = talker(&gateway);
    for (payload, qos) in [("a".repeat(200), 0), ("b".repeat(200), 1), ("c".repeat(200), 2), ("d".into(), 1)] {
        talker.publish("t", &payload, qos);
    }
    assert_eq!(small.expect_delivery().payload, "d");
    assert_eq!(gateway.stop()["subscriber_dropped"], 3);
}

#[test]
fn the_reason_is_said_without_words_where_they_do_not_fit() {
    let gateway = Gateway::start("");
    let takes = |bytes| Connect::new(V5, "small").with(|properties| properties.long(id::MAXIMUM_PACKET_SIZE, bytes));
    let (mut small, _) = Raw::connect(gateway.address(), &takes(20));
    small.send(&wire::packet(0x00, b""));
    let last_words: Vec<_> = small.expect_close().iter().map(|packet| packet.body.clone()).collect();
    assert_eq!(last_words, [[0x81]], "[MQTT-3.14.2-3]");
    // No room for a CONNACK with what has to be in it: five bytes say why not, and four say nothing [MQTT-3.1.2-24].
    for (bytes, expected) in [(15, vec![vec![0, 0x95, 0]]), (5, vec![vec![0, 0x95, 0]]), (4, vec![]), (1, vec![])] {
        let mut small = Raw::open(gateway.address(), V5);
        small.send(&takes(bytes).encode());
        let last_words: Vec<_> = small.expect_close().iter().map(|packet| packet.body.clone()).collect();
        assert_eq!(last_words, expected, "at most {bytes} bytes");
    }
    gateway.stop();
}

#[test]
fn a_subscriber_that_does_not_read_slows_down_nobody() {
    let gateway = Gateway::start("[broker.limits]\nmax_queued_messages = 100\n");
    let lazy = listener(&gateway, "t", 1);
    let mut eager = Raw::clean(gateway.address(), V5, "eager");
    eager.subscribe("t", 0);
    let mut talker = talker(&gateway);
    let payload = "x".repeat(1_000);
    for _ in 0..500 {
        talker.publish("t", &payload, 1);
        assert_eq!(eager.expect_delivery().payload, payload);
    }
    drop(lazy);
    // A hundred in its window, a hundred in its queue.
    assert_eq!(gateway.stop()["subscriber_dropped"], 300);
}
