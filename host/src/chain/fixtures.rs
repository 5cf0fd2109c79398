//! Messages and stages for the tests of this room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use crate::message::{Message, Origin, QoS};
use crate::plugin::{Envelope, FailureKind, Verdict};
use crate::topic::TopicName;

use super::{Failure, Stage};

type Closure = dyn FnMut(&str) -> Result<Verdict, Box<Failure>> + Send;

struct FakeStage(Box<Closure>);

pub fn message(payload: &str) -> Message {
    Message::new(TopicName::parse("t").unwrap(), payload.to_owned(), QoS::AtLeastOnce)
}

/// Each of another device: what a plugin does to one of them is not that device's doing.
pub fn envelope(payload: &str) -> Envelope {
    static DEVICES: AtomicUsize = AtomicUsize::new(0);
    envelope_of(&format!("device-{}", DEVICES.fetch_add(1, Relaxed)), payload)
}

pub fn envelope_of(client: &str, payload: &str) -> Envelope {
    let origin = Arc::new(Origin { client: client.into(), ..Origin::gateway(0) });
    Envelope { message: message(payload), origin }
}

pub fn failure(plugin: &str) -> Failure {
    Failure { plugin: plugin.into(), kind: FailureKind::Trapped, detail: "bad".into(), attempts: 1, then: None }
}

pub fn payload(envelope: &Envelope) -> &str {
    std::str::from_utf8(&envelope.message.payload).unwrap()
}

pub fn stage(answer: impl FnMut(&str) -> Result<Verdict, Box<Failure>> + Send + 'static) -> Box<dyn Stage> {
    Box::new(FakeStage(Box::new(answer)))
}

impl Stage for FakeStage {
    fn name(&self) -> &str {
        "stage"
    }

    fn process(&mut self, batch: &[Envelope], _: Instant) -> Vec<Result<Verdict, Box<Failure>>> {
        batch.iter().map(|envelope| (self.0)(payload(envelope))).collect()
    }
}
