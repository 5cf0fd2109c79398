//! What one client can make the gateway hold: in the measure of what it has sent, and never in the way of others.

use tidegate_tests::eventually::SOON;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, Properties, V5};

const MIB: usize = 1 << 20;

/// As deep as a topic may be here, and about 410 bytes of it.
fn deep(index: usize, last: &str) -> String {
    format!("{index:05}/{}{last}", "a/".repeat(190))
}

/// QoS 0, so that all leave at once; the last one is acknowledged, and with it all before.
fn retain(device: &mut Raw, topics: impl Iterator<Item = String>) {
    let messages = topics.map(|topic| wire::publish(V5, &topic, "1").retain().encode());
    device.send(&messages.collect::<Vec<_>>().concat());
    device.publish("done", "1", 1);
}

#[test]
fn topics_of_many_levels_take_a_small_multiple_of_their_bytes_and_after_a_restart_too() {
    let gateway = Gateway::start("");
    let before = gateway.memory();
    let mut device = Raw::clean(gateway.address(), V5, "device");
    retain(&mut device, (0..9_000).map(|index| deep(index, "x")));
    let most = before + 64 * MIB;
    assert!(gateway.memory() < most, "{} MiB", gateway.memory() / MIB);
    let gateway = gateway.stop_and_keep().start_again();
    assert!(gateway.memory() < most, "{} MiB after a restart", gateway.memory() / MIB);
    let mut subscriber = Raw::clean(gateway.address(), V5, "subscriber");
    subscriber.subscribe("08999/#", 0);
    assert_eq!(subscriber.expect_delivery().topic, deep(8_999, "x"));
}

#[test]
fn filters_of_many_levels_take_a_small_multiple_of_their_bytes() {
    let gateway = Gateway::start("");
    let before = gateway.memory();
    let mut devices: Vec<Raw> = (0..10).map(|of| Raw::clean(gateway.address(), V5, &format!("device{of}"))).collect();
    for (of, device) in devices.iter_mut().enumerate() {
        let filters: Vec<String> = (0..600).map(|index| deep(of * 600 + index, "+/b")).collect();
        for part in filters.chunks(300) {
            let asked: Vec<(&str, u8)> = part.iter().map(|filter| (filter.as_str(), 0)).collect();
            device.send(&wire::subscribe(V5, 1, &Properties::new(), &asked));
            assert!(device.expect(wire::SUBACK).codes(V5).iter().all(|code| *code == 0));
        }
    }
    assert!(gateway.memory() < before + 48 * MIB, "{} MiB", gateway.memory() / MIB);
    let mut publisher = Raw::clean(gateway.address(), V5, "publisher");
    let topic = deep(7 * 600 + 5, "any/b");
    publisher.publish(&topic, "1", 1);
    assert_eq!(devices[7].expect_delivery().topic, topic);
}

#[test]
fn a_filter_that_stands_many_times_in_one_subscribe_is_replayed_once_and_others_are_answered_meanwhile() {
    const TOPICS: usize = 5_000;
    let gateway = Gateway::start("");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    retain(&mut device, (0..TOPICS).map(|index| format!("t/{index}")));
    let (mut greedy, mut idle) =
        (Raw::clean(gateway.address(), V5, "greedy"), Raw::clean(gateway.address(), V5, "idle"));
    greedy.send(&wire::subscribe(V5, 1, &Properties::new(), &[("#", 0); 5_000]));
    idle.send(wire::PING);
    idle.expect(wire::PINGRESP);
    assert_eq!(greedy.expect(wire::SUBACK).codes(V5).len(), 5_000);
    for _ in 0..TOPICS {
        greedy.expect_delivery();
    }
    greedy.expect_quiet();
}

#[test]
fn a_retained_message_for_a_new_subscription_does_not_overtake_what_waits_on_its_topic() {
    let gateway = Gateway::start("");
    let (mut device, mut subscriber) =
        (Raw::clean(gateway.address(), V5, "device"), Raw::clean(gateway.address(), V5, "subscriber"));
    subscriber.subscribe("t/+", 1);
    // Its window is full: what comes now waits.
    for value in 0..200 {
        device.send(&wire::publish(V5, "t/x", value.to_string()).retain().qos(1, value + 1).encode());
        device.expect(wire::PUBACK);
    }
    subscriber.send(&wire::subscribe(V5, 9, &Properties::new(), &[("t/x", 1)]));
    let mut values = Vec::new();
    while values.len() < 201 {
        let Next::Packet(packet) = subscriber.next(SOON) else { panic!("only {values:?}") };
        if packet.kind() == wire::PUBLISH {
            let delivered = packet.delivered(V5);
            subscriber.acknowledge(&delivered);
            values.push(delivered.payload.parse::<u16>().unwrap());
        }
    }
    assert!(values.is_sorted(), "{values:?}");
    assert_eq!(values.last(), Some(&199));
}

/// Little enough that a few clients use it up.
const LITTLE_MEMORY: &str = "[broker.limits]\nmemory = \"1MiB\"\n";

#[test]
fn filters_that_have_no_room_are_refused_one_by_one_and_have_it_when_others_go() {
    let gateway = Gateway::start(LITTLE_MEMORY);
    let mut device = Raw::clean(gateway.address(), V5, "device");
    let filters: Vec<String> = (0..600).map(|index| format!("{index:03}/{}", "x".repeat(400))).collect();
    let asked: Vec<(&str, u8)> = filters.iter().map(|filter| (filter.as_str(), 0)).collect();
    for part in asked.chunks(300) {
        device.send(&wire::subscribe(V5, 1, &Properties::new(), part));
        let codes = device.expect(wire::SUBACK).codes(V5);
        assert!(codes.iter().all(|code| [0, 0x97].contains(code)));
    }
    let mut other = Raw::clean(gateway.address(), V5, "other");
    assert_eq!(other.subscribe("a", 0), 0, "what each is sure of");
    let long = "y".repeat(60_000);
    assert_eq!(other.subscribe(&long, 0), 0x97);
    device.leave();
    assert_eq!(other.subscribe(&long, 0), 0);
}
