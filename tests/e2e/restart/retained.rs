//! The retained message of a topic is the last one that was acknowledged, also after a crash.

use tidegate_tests::eventually::SOON;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{PUBACK, PUBLISH, Properties, V4, V5, publish, subscribe};

use super::talker;

fn retain(talker: &mut Raw, topic: &str, payload: &str) {
    talker.send(&publish(V5, topic, payload).qos(1, 9).retain().encode());
    assert_eq!(talker.expect(PUBACK).packet_id(), 9);
}

#[test]
fn a_retained_message_survives_and_one_that_was_taken_back_does_not() {
    let mut gateway = Gateway::start("");
    let mut talker = talker(&gateway);
    for (topic, payload) in [("r/a", "old"), ("r/a", "new"), ("r/b", "taken back"), ("r/b", ""), ("r/c", "c")] {
        retain(&mut talker, topic, payload);
    }
    for version in [V4, V5] {
        gateway.crash();
        let mut listener = Raw::clean(gateway.address(), version, "listener");
        // The SUBACK comes behind what is retained, or before it.
        listener.send(&subscribe(version, 1, &Properties::new(), &[("r/#", 1)]));
        let mut heard = Vec::new();
        for _ in 0..3 {
            match listener.next(SOON) {
                Next::Packet(packet) if packet.kind() == PUBLISH => {
                    let delivered = packet.delivered(version);
                    assert!(delivered.retain);
                    heard.push((delivered.topic, delivered.payload));
                }
                Next::Packet(_) => {}
                other => panic!("{other:?}"),
            }
        }
        let expected = [("r/a", "new"), ("r/c", "c")].map(|(topic, payload)| (topic.to_owned(), payload.to_owned()));
        assert_eq!(heard, expected);
    }
    gateway.stop();
}
