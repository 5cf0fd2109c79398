//! A dead letter: a message that a plugin failed on, or an upstream or a subscriber does not take, and what there is to know about it.
//!
//! ```text
//! struct DeadLetter {
//!     metadata: u32 length, JSON,       // everything but the message: grows without a new version
//!     message: the rest,                // as `spool::encode_message` writes it
//! }
//! ```

use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::config::UpstreamId;
use crate::message::{Message, QoS};
use crate::spool::{Output, decode_message, encode_message};
use crate::topic::{NameError, TopicName};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The original, untouched.
    pub message: Message,
    pub metadata: Metadata,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    pub client: String,
    pub binding: String,
    pub plugin: String,
    /// The digest of the plugin's component, as `sha256` in the configuration.
    pub sha256: String,
    pub reason: String,
    pub detail: String,
    /// Of a message that was for an upstream, which does not take it. Then there is no plugin, and it goes to that upstream again.
    pub upstream: String,
    /// The client identifier of the subscriber that closes on it. Then there is neither plugin nor upstream.
    pub subscriber: String,
    /// How often it has been tried, requeues included.
    pub attempts: u32,
    /// Milliseconds since the Unix epoch.
    pub arrived_ms: u64,
    pub failed_ms: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    #[error("it is cut off")]
    Short,
    #[error("its facts: {0}")]
    Metadata(#[from] serde_json::Error),
    #[error("its message: {0}")]
    Message(#[from] crate::spool::WireError),
}

/// What the spool calls it on its way to the archive; nobody subscribes to that.
const TOPIC: &str = "$tidegate/dead-letter";

// === impl DeadLetter ===

impl DeadLetter {
    pub fn encode(&self) -> Bytes {
        // Texts and numbers: nothing in them that JSON cannot say.
        let metadata = serde_json::to_vec(&self.metadata).unwrap_or_default();
        let mut out = BytesMut::new();
        out.put_u32_le(metadata.len() as u32);
        out.put_slice(&metadata);
        encode_message(&self.message, &mut out);
        out.freeze()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DeadLetterError> {
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or(DeadLetterError::Short)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (metadata, message) = rest.split_at_checked(length).ok_or(DeadLetterError::Short)?;
        Ok(Self { metadata: serde_json::from_slice(metadata)?, message: decode_message(message)? })
    }

    /// What goes into the record of its input. QoS 1, whatever the QoS of the original: a letter is kept or it is none.
    pub fn output(&self, line: UpstreamId, arrived: Instant) -> Result<Output, NameError> {
        let message = Message::new(TopicName::parse(TOPIC)?, self.encode(), QoS::AtLeastOnce);
        Ok(Output { upstream: line, binding: Some(self.metadata.binding.as_str().into()), message, arrived })
    }
}

#[cfg(test)]
pub(super) fn letter(binding: &str, payload: &str) -> DeadLetter {
    let message = Message::new(TopicName::parse("sensors/7").unwrap(), payload.to_owned(), QoS::ExactlyOnce);
    let metadata = Metadata {
        client: "dev".into(),
        binding: binding.into(),
        plugin: "threshold".into(),
        reason: "trapped".into(),
        attempts: 1,
        ..Metadata::default()
    };
    DeadLetter { message, metadata }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_reads_as_it_was_written() {
        let letter = letter("b", "21.5");
        assert_eq!(DeadLetter::decode(&letter.encode()).unwrap(), letter);
    }

    #[test]
    fn a_letter_that_is_cut_anywhere_before_its_payload_is_an_error() {
        let bytes = letter("b", "").encode();
        for end in 0..bytes.len() {
            assert!(DeadLetter::decode(&bytes[..end]).is_err(), "{end} of {}", bytes.len());
        }
    }

    #[test]
    fn facts_of_a_later_version_are_ignored() {
        let mut out = BytesMut::new();
        let metadata = br#"{"binding":"b","mood":"bad"}"#;
        out.put_u32_le(metadata.len() as u32);
        out.put_slice(metadata);
        encode_message(&letter("b", "x").message, &mut out);
        assert_eq!(DeadLetter::decode(&out).unwrap().metadata.binding, "b");
    }
}
