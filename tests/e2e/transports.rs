//! What holds over TCP holds over TLS and WebSocket, and over both: bounds, slow devices, what comes half.

use std::sync::Arc;
use std::time::Duration;

use tidegate_tests::doors::{Doors, Way};
use tidegate_tests::eventually::{SOON, eventually};
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, Connect, V5, Will};

const MIB: usize = 1 << 20;

/// A gateway with a listener for each of them.
struct Plant {
    gateway: Gateway,
    doors: Arc<Doors>,
}

// === impl Plant ===

impl Plant {
    fn start(config: &str) -> Self {
        let doors = Doors::new();
        let home = Home::new(&format!("{}{config}", doors.config()));
        doors.install(home.path());
        Self { gateway: Gateway::launch(&Arc::new(home), &Launch::default()), doors }
    }

    fn open(&self, way: Way) -> Raw {
        self.doors.open(way, self.gateway.address(), V5).expect("a listener")
    }

    fn greeted(&self, way: Way, connect: &Connect) -> Raw {
        let mut device = self.open(way);
        device.send(&connect.encode());
        assert_eq!(device.expect(wire::CONNACK).reason(), 0, "{way:?}");
        device
    }

    fn clean(&self, way: Way, name: &str) -> Raw {
        self.greeted(way, &Connect::new(V5, name))
    }
}

const LITTLE_MEMORY: &str = "[broker.limits]\nmemory = \"1MiB\"\n";

#[test]
fn half_sent_packets_that_have_no_room_end_their_connections_and_no_other() {
    for way in Way::ALL {
        let plant = Plant::start(LITTLE_MEMORY);
        let mut honest = plant.clean(way, "honest");
        let whole = wire::publish(V5, "a", "x".repeat(250_000)).qos(1, 1).encode();
        let half = &whole[..whole.len() - 1];
        let mut greedy: Vec<Raw> = (0..8).map(|of| plant.clean(way, &format!("greedy{of}"))).collect();
        greedy.iter_mut().for_each(|device| device.send(half));
        let mut reasons = Vec::new();
        eventually("some of them have to go", SOON, || {
            for device in &mut greedy {
                if let Next::Packet(packet) = device.next(Duration::from_millis(1)) {
                    reasons.push(packet.reason());
                }
            }
            (reasons.len() >= 3).then_some(())
        });
        assert!(reasons.iter().all(|reason| *reason == 0x97), "{way:?}: {reasons:?}");
        (0..10).for_each(|_| honest.publish("b", "1", 1));
        // What they had is free again.
        drop(greedy);
        let large = "y".repeat(200_000);
        eventually("room for a large packet", SOON, || {
            let mut device = plant.clean(way, "large");
            device.send(&wire::publish(V5, "a", &large).qos(1, 1).encode());
            matches!(device.next(SOON), Next::Packet(packet) if packet.kind() == wire::PUBACK).then_some(())
        });
        plant.gateway.stop();
    }
}

#[test]
fn wills_that_have_no_room_are_refused_at_connect_and_have_it_when_others_go() {
    for way in Way::ALL {
        let plant = Plant::start(LITTLE_MEMORY);
        let with_will = |name: &str| Connect::new(V5, name).will(Will::new("gone", &"x".repeat(60_000)));
        let mut held = Vec::new();
        let refused = loop {
            let mut device = plant.open(way);
            device.send(&with_will(&format!("device{}", held.len())).encode());
            match device.next(SOON) {
                Next::Packet(packet) if packet.reason() == 0 => held.push(device),
                Next::Packet(packet) => break packet.reason(),
                // Also when the account is used up before its CONNECT is there: the version stands at the beginning.
                other => panic!("{way:?}: no reason: {other:?}"),
            }
        };
        assert_eq!(refused, 0x97, "{way:?}");
        assert!((15..25).contains(&held.len()), "{way:?}: 1 MiB has room for about 20: {}", held.len());
        plant.clean(way, "honest").publish("a", "1", 1);
        held.drain(..10).for_each(Raw::leave);
        plant.greeted(way, &with_will("again"));
        plant.gateway.stop();
    }
}

#[test]
fn who_reads_nothing_holds_nobody_up_has_a_bound_and_goes_on_when_it_reads() {
    const MESSAGES: usize = 200;
    for way in Way::LAYERED {
        let plant = Plant::start("[broker.limits]\nmax_queued_bytes = \"4MiB\"\n");
        let mut slow: Vec<Raw> = (0..4).map(|of| plant.clean(way, &format!("slow{of}"))).collect();
        slow.iter_mut().for_each(|device| assert_eq!(device.subscribe("t", 1), 1));
        let before = plant.gateway.memory();
        let mut honest = plant.clean(way, "honest");
        let body = "x".repeat(50_000);
        // Each is acknowledged, while four read nothing.
        (0..MESSAGES).for_each(|number| honest.publish("t", &format!("{number:04}{body}"), 1));
        // One after the other has its queue, though they share what is in it; and a part of it in its connection.
        let most = before + 4 * (4 + 1) * MIB + 16 * MIB;
        assert!(plant.gateway.memory() < most, "{way:?}: {} MiB", plant.gateway.memory() / MIB);
        for device in &mut slow {
            // As many as its queue has room for, in their order.
            for number in 0..60 {
                let delivery = device.expect_delivery();
                device.acknowledge(&delivery);
                assert!(delivery.payload.starts_with(&format!("{number:04}")), "{way:?}: {number}");
            }
        }
        honest.publish("t", "the next one", 1);
        for device in &mut slow {
            let mut delivery = device.expect_delivery();
            while delivery.payload != "the next one" {
                device.acknowledge(&delivery);
                delivery = device.expect_delivery();
            }
        }
        plant.gateway.stop();
    }
}

#[test]
fn half_a_connect_is_waited_for_until_the_deadline_and_what_is_wrong_ends_its_connection_alone() {
    let plant = Plant::start("[broker.limits]\nhandshake_timeout = \"1s\"\n");
    for way in Way::LAYERED {
        let mut honest = plant.clean(way, "honest");
        let connect = Connect::new(V5, "half").encode();
        let mut half = plant.open(way);
        half.send(&connect[..connect.len() - 1]);
        assert_eq!(half.next(SOON), Next::Closed, "{way:?}");
        // A length of five bytes; and a PUBLISH with a QoS that there is not.
        for wrong in [&[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0x01][..], &[0x36, 3, 0, 1, b't']] {
            let mut device = plant.clean(way, "wrong");
            device.send(wrong);
            let last_words = device.expect_close();
            let reasons: Vec<u8> = last_words.iter().map(wire::Packet::reason).collect();
            assert_eq!(reasons, [0x81], "{way:?}: {last_words:?}");
        }
        honest.publish("t", "x", 2);
        honest.leave();
    }
    plant.gateway.stop();
}
