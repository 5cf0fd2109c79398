//! The one message that everything is measured with: 256 bytes of JSON, as the benchmark of the whole gateway sends it.

use std::sync::Arc;

use tidegate::message::{Message, Origin, QoS};
use tidegate::plugin::Envelope;
use tidegate::topic::TopicName;
use tidegate_tests::wire::{self, Version};

pub const TOPIC: &str = "bench/01";

pub const BYTES: usize = 256;

/// As much as one read of a busy connection gives, and as one crossing takes.
pub const BATCH: usize = 32;

/// A reading that `tests/fixtures/reading` lets through, and converts.
pub fn json() -> String {
    let head = r#"{"id":"00-00000000","celsius":21.5,"humidity":48.25,"device":"press-07","site":"hall-3","firmware":"4.11.2","state":"running","alarms":[],"note":""#;
    format!("{head}{}\"}}", "x".repeat(BYTES - head.len() - 2))
}

pub fn message(payload: &str, qos: QoS) -> Message {
    Message::new(topic(TOPIC), payload.to_owned(), qos)
}

pub fn topic(name: &str) -> TopicName {
    TopicName::parse(name).expect("a topic name")
}

pub fn batch(payload: &str, count: usize) -> Vec<Envelope> {
    let origin = Arc::new(Origin::gateway(0));
    let envelope = || Envelope { message: message(payload, QoS::AtLeastOnce), origin: origin.clone() };
    (0..count).map(|_| envelope()).collect()
}

/// So many PUBLISH packets, one behind the other.
pub fn packets(version: Version, qos: u8, count: usize) -> Vec<u8> {
    wire::publish(version, TOPIC, json()).qos(qos, u16::from(qos > 0)).encode().repeat(count)
}
