//! What is put under a key.
//!
//! A value may carry a message, which is shared instead of copied: a hundred values of one message cost its payload once, in the
//! record that puts them ([`super::shared`]), in memory, and in a snapshot.

use std::ops::Deref;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::message::decode_message;
use super::wire::{Fields, WireError};
use crate::message::Message;

/// Bytes that its owner alone understands, and a message when there is one. As bytes it is the former.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    bytes: Bytes,
    message: Option<Arc<Message>>,
}

// === impl Value ===

impl Value {
    pub fn with_message(bytes: impl Into<Bytes>, message: Message) -> Self {
        Self { bytes: bytes.into(), message: Some(Arc::new(message)) }
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn message(&self) -> Option<&Message> {
        self.message.as_deref()
    }

    /// The message, when `fields` are what is left of the bytes: beside them, or, as it was written before format 3, behind them.
    pub(crate) fn message_behind(&self, mut fields: Fields<'_>) -> Result<Message, WireError> {
        match &self.message {
            Some(message) => fields.end().map(|()| (**message).clone()),
            None => decode_message(fields.rest()),
        }
    }

    /// About its bytes in the log, if nothing were shared.
    pub(super) fn weight(&self) -> usize {
        self.bytes.len() + self.message.as_ref().map_or(0, |message| message.weight())
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, message: None }
    }
}

impl From<BytesMut> for Value {
    fn from(bytes: BytesMut) -> Self {
        bytes.freeze().into()
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Bytes::from(text).into()
    }
}
