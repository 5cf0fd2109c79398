//! What goes into a stage of a chain, and what it says about it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::message::{Message, Origin};

use super::outcome::Failure;

/// A message and, beside it, where it came from.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub message: Message,
    /// Of the message that entered the chain, also when an earlier stage made this one from it.
    pub origin: Arc<Origin>,
}

/// What becomes of one message: the contract's `verdict`, with what a guest gave already checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Drop,
    Forward,
    /// Another payload, all else unchanged.
    Replace(Bytes),
    /// These instead, in order.
    Emit(Vec<Message>),
}

/// One link of a chain. A plugin in service; in tests, a closure.
pub trait Stage: Send {
    /// Whose failures they are.
    fn name(&self) -> &str;

    /// Answers for messages from the front of `batch`, in order: for all of them or, when `until` passes first, for at least
    /// one. Called with at least one.
    fn process(&mut self, batch: &[Envelope], until: Instant) -> Vec<Result<Verdict, Failure>>;

    /// So many messages, which this stage could not handle for the time being, will be asked about again.
    fn try_again(&mut self, _messages: usize) {}

    /// A failure that this stage called transient was tried again, as often as the binding allows, and stays one.
    fn gave_up(&mut self) {}

    /// What time makes; none, when it has no clock.
    fn tick(&mut self, now_ms: u64) -> Option<Result<Vec<Message>, Failure>> {
        let _ = now_ms;
        None
    }
}

// === impl Verdict ===

impl Verdict {
    /// Gives what `input` becomes to `keep`, in order.
    pub fn apply(self, input: Message, mut keep: impl FnMut(Message)) {
        match self {
            Self::Drop => {}
            Self::Forward => keep(input),
            Self::Replace(payload) => keep(replaced(input, payload)),
            Self::Emit(messages) => messages.into_iter().for_each(keep),
        }
    }
}

fn replaced(mut input: Message, payload: Bytes) -> Message {
    if let Some(properties) = &mut input.properties
        && properties.payload_is_utf8
        && std::str::from_utf8(&payload).is_err()
    {
        // The device promised UTF-8 for its own payload [MQTT-3.3.2-4]; the plugin's is something else, so nobody does.
        Arc::make_mut(properties).payload_is_utf8 = false;
    }
    input.payload = payload;
    input
}
