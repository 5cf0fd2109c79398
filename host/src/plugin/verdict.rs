//! What goes into a plugin, and what it says about it.

use std::sync::Arc;

use bytes::Bytes;

use crate::message::{Message, Origin};

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
        && properties.payload_is_utf8 == Some(true)
        && std::str::from_utf8(&payload).is_err()
    {
        // The device promised UTF-8 for its own payload [MQTT-3.3.2-4]; the plugin's is something else, so nobody does.
        Arc::make_mut(properties).payload_is_utf8 = None;
    }
    input.payload = payload;
    input
}
