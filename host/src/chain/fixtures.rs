//! Messages and stages for the tests of this room.

use std::sync::Arc;
use std::time::Instant;

use crate::message::{Message, Origin, QoS};
use crate::plugin::{Envelope, FailureKind, Verdict};
use crate::topic::TopicName;

use super::{Failure, Stage};

type Closure = dyn FnMut(&str) -> Result<Verdict, Failure> + Send;

struct FakeStage(Box<Closure>);

pub fn message(payload: &str) -> Message {
    Message::new(TopicName::parse("t").unwrap(), payload.to_owned(), QoS::AtLeastOnce)
}

pub fn envelope(payload: &str) -> Envelope {
    Envelope { message: message(payload), origin: Arc::new(Origin::gateway(0)) }
}

pub fn failure(plugin: &str) -> Failure {
    Failure { plugin: plugin.into(), kind: FailureKind::Trapped, detail: "bad".into(), attempts: 1, then: None }
}

pub fn payload(envelope: &Envelope) -> &str {
    std::str::from_utf8(&envelope.message.payload).unwrap()
}

pub fn stage(answer: impl FnMut(&str) -> Result<Verdict, Failure> + Send + 'static) -> Box<dyn Stage> {
    Box::new(FakeStage(Box::new(answer)))
}

impl Stage for FakeStage {
    fn name(&self) -> &str {
        "stage"
    }

    fn process(&mut self, batch: &[Envelope], _: Instant) -> Vec<Result<Verdict, Failure>> {
        batch.iter().map(|envelope| (self.0)(payload(envelope))).collect()
    }
}
