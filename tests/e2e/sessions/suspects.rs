//! A message on which a subscriber closes is given up for it, and for nobody else.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{Connect, PUBLISH, V4, V5, Version};

use super::talker;

/// More than it takes.
const ATTEMPTS: usize = 12;

/// Connects again and again as a library does that closes on what it does not like. What it has got when the last one has come.
fn heard_by_a_picky_device(gateway: &Gateway, version: Version, last: &str) -> Vec<String> {
    let mut heard = Vec::new();
    for _ in 0..ATTEMPTS {
        let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(version, "picky").persistent(600));
        while let Next::Packet(packet) = device.next(tidegate_tests::eventually::SOON) {
            assert_eq!(packet.kind(), PUBLISH);
            let delivered = packet.delivered(version);
            if delivered.payload.starts_with("bad") {
                break;
            }
            device.acknowledge(&delivered);
            let is_last = delivered.payload == last;
            // QoS 1: an ack that a broken connection lost is a message that comes again.
            if !heard.contains(&delivered.payload) {
                heard.push(delivered.payload);
            }
            if is_last {
                return heard;
            }
        }
    }
    panic!("{last} has not come in {ATTEMPTS} connections: {heard:?}");
}

#[test]
fn a_subscriber_that_closes_on_one_message_gets_all_others() {
    for version in [V4, V5] {
        let gateway = Gateway::start("");
        let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(version, "picky").persistent(600));
        device.subscribe("t/#", 1);
        device.leave();
        gateway.expect_departure("picky");
        let mut other = Raw::clean(gateway.address(), version, "other");
        other.subscribe("t/#", 1);
        let mut talker = talker(&gateway);
        for payload in ["1", "2", "bad", "3", "4", "last"] {
            talker.publish(&format!("t/{payload}"), payload, 1);
            let delivered = other.expect_delivery();
            assert_eq!(delivered.payload, payload);
            other.acknowledge(&delivered);
        }
        assert_eq!(heard_by_a_picky_device(&gateway, version, "last"), ["1", "2", "3", "4", "last"]);
        gateway.expect_log(&["a message is given up for this subscriber", "client=\"picky\"", "topic=\"t/bad\""]);
        assert_eq!(gateway.stop()["subscriber_given_up"], 1);
    }
}
