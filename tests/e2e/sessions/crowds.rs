//! Sessions that nobody comes back to take nothing from devices that are there.

use std::collections::BTreeSet;

use tidegate_tests::eventually::SOON;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, CONNACK, Connect, PUBCOMP, PUBREC, PUBREL, V4, V5};

use super::talker;

fn abandon(gateway: &Gateway, client: &str, filter: Option<&str>) {
    let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(V5, client).persistent(600));
    filter.iter().for_each(|filter| _ = device.subscribe(filter, 1));
    device.leave();
    gateway.expect_departure(client);
}

#[test]
fn abandoned_sessions_do_not_take_the_room_of_subscribers_that_are_there() {
    let limits = "[broker.limits]\nmax_queued_bytes = \"64KiB\"\nmax_queued_bytes_total = \"128KiB\"\n";
    let gateway = Gateway::start(limits);
    for number in 0..9 {
        abandon(&gateway, &format!("abandoned{number}"), Some("#"));
    }
    let mut subscriber = Raw::clean(gateway.address(), V5, "subscriber");
    subscriber.subscribe("t", 1);
    let mut talker = talker(&gateway);
    let payload = "x".repeat(4_000);
    for _ in 0..100 {
        talker.publish("t", &payload, 1);
        let heard = subscriber.expect_delivery();
        subscriber.acknowledge(&heard);
    }
    // The one that needs it is connected, and holds less than its part: nobody is there for whom its own would go.
    let (mut sleeper, _) = Raw::connect(gateway.address(), &Connect::new(V5, "sleeper").persistent(600));
    sleeper.subscribe("rare", 1);
    sleeper.leave();
    gateway.expect_departure("sleeper");
    talker.publish("rare", &payload, 1);
    (0..50).for_each(|_| talker.publish("t", &payload, 1));
    let (mut sleeper, _) = Raw::connect(gateway.address(), &Connect::new(V5, "sleeper").persistent(600));
    assert_eq!(sleeper.expect_delivery().topic, "rare", "each session is sure of its part");
    gateway.expect_log(&["the oldest messages queued for a session are dropped", "client=\"abandoned"]);
    assert!(gateway.stop()["subscriber_dropped"] > 0);
}

#[test]
fn a_new_device_gets_a_session_when_others_are_away_and_owed_nothing() {
    let gateway = Gateway::start("[broker.limits]\nmax_sessions = 3\n");
    abandon(&gateway, "first", None);
    abandon(&gateway, "listens", Some("t"));
    abandon(&gateway, "second", None);
    talker(&gateway).publish("t", "for the one that listens", 1);
    for client in ["new 1", "new 2"] {
        Raw::connect(gateway.address(), &Connect::new(V5, client).persistent(600)).0.leave();
        gateway.expect_departure(client);
    }
    gateway.expect_log(&["a session that is away ends early", "client=\"first\""]);
    let (_, connack) = Raw::connect(gateway.address(), &Connect::new(V5, "listens").persistent(600));
    assert!(connack.session_present(), "it is owed a message");
    assert_eq!(gateway.stop()["sessions_evicted"], 2);
}

#[test]
fn when_all_of_them_are_owed_something_a_new_device_is_refused_until_one_is_dropped() {
    let gateway = Gateway::start("[broker.limits]\nmax_sessions = 1\n");
    abandon(&gateway, "owed", Some("t"));
    talker(&gateway).publish("t", "x", 1);
    let connect = Connect::new(V5, "new").persistent(600);
    let mut refused = Raw::open(gateway.address(), V5);
    refused.send(&connect.encode());
    assert_eq!(refused.expect(CONNACK).reason(), 0x97, "quota exceeded");
    super::command::drop_session(&gateway, "owed");
    Raw::connect(gateway.address(), &connect);
    gateway.stop();
}

#[test]
fn a_device_of_3_1_1_that_never_releases_is_closed_and_goes_on_when_it_does() {
    let gateway = Gateway::start("[broker.limits]\nreceive_maximum = 2\n");
    let connect = Connect::new(V4, "device").persistent(600);
    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    for packet_id in 1..=21 {
        device.send(&wire::publish(V4, "t", "x").qos(2, packet_id).encode());
    }
    let acks: Vec<u16> = device.expect_close().iter().map(|packet| packet.packet_id()).collect();
    assert!(acks.len() <= 20 && acks.iter().all(|packet_id| *packet_id <= 20), "{acks:?}");
    gateway.expect_log(&["more QoS 2 messages without PUBREL", "client=\"device\""]);
    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    let mut open: BTreeSet<u16> = (1..=21).collect();
    (1..=20).for_each(|packet_id| device.send(&wire::publish(V4, "t", "x").qos(2, packet_id).dup().encode()));
    while !open.is_empty() {
        let Next::Packet(packet) = device.next(SOON) else { panic!("{open:?} are never complete") };
        match packet.kind() {
            PUBREC => device.send(&wire::ack(PUBREL, packet.packet_id())),
            PUBCOMP if open.remove(&packet.packet_id()) && open.len() == 20 => {
                device.send(&wire::publish(V4, "t", "x").qos(2, 21).dup().encode());
            }
            PUBCOMP => {}
            kind => panic!("a packet of type {kind}"),
        }
    }
    assert_eq!(gateway.stop()["received"], 21);
}

#[test]
fn a_subscriber_that_never_acknowledges_stops_itself_alone() {
    let gateway = Gateway::start("[broker.limits]\nmax_queued_messages = 50\nreceive_maximum = 10\n");
    let mut silent = Raw::clean(gateway.address(), V5, "silent");
    silent.subscribe("t", 1);
    let mut subscriber = Raw::clean(gateway.address(), V5, "subscriber");
    subscriber.subscribe("t", 1);
    let mut talker = talker(&gateway);
    for number in 0..200 {
        talker.publish("t", &number.to_string(), 1);
        let heard = subscriber.expect_delivery();
        assert_eq!(heard.payload, number.to_string());
        subscriber.acknowledge(&heard);
    }
    for number in 0..10 {
        assert_eq!(silent.expect_delivery().payload, number.to_string());
    }
    silent.expect_quiet();
    assert_eq!(gateway.stop()["subscriber_dropped"], 140, "its window and its queue are all that it has");
}
