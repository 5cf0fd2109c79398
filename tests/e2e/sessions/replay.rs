//! Retained messages on their way to a subscriber, when the gateway dies.

use std::collections::HashSet;
use std::time::Duration;

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, Connect, Properties, V5};

const TOPICS: u16 = 2_000;

fn subscriber(gateway: &Gateway) -> Raw {
    Raw::connect(gateway.address(), &Connect::new(V5, "subscriber").persistent(3_600)).0
}

/// Whatever comes until it is quiet, acknowledged.
fn taken(device: &mut Raw) -> Vec<String> {
    let mut topics = Vec::new();
    while let Next::Packet(packet) = device.next(Duration::from_secs(2)) {
        if packet.kind() == wire::PUBLISH {
            let delivered = packet.delivered(V5);
            device.acknowledge(&delivered);
            topics.push(delivered.topic);
        }
    }
    topics
}

#[test]
fn a_replay_of_retained_messages_that_a_crash_cuts_goes_on_for_a_session_that_survives() {
    let mut gateway = Gateway::start("");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    for index in 0..TOPICS {
        device.send(&wire::publish(V5, &format!("t/{index:04}"), "1").retain().qos(1, index + 1).encode());
        device.expect(wire::PUBACK);
    }
    drop(device);
    let mut cut = subscriber(&gateway);
    cut.send(&wire::subscribe(V5, 1, &Properties::new(), &[("t/#", 1)]));
    // It acknowledges nothing: its window is full, and the rest is not fetched.
    while let Next::Packet(_) = cut.next(Duration::from_secs(1)) {}
    gateway.crash();
    let topics = taken(&mut subscriber(&gateway));
    let different: HashSet<&String> = topics.iter().collect();
    assert_eq!(different.len(), usize::from(TOPICS), "of {} that came", topics.len());
    assert!(topics.len() < usize::from(TOPICS) + 600, "only what was fetched last comes twice: {}", topics.len());

    // Once is enough.
    gateway.crash();
    assert_eq!(taken(&mut subscriber(&gateway)), [""; 0]);
}
