//! The topic name of a PUBLISH or a will, with the reason that its sender gets for a bad one.

use super::error::{DecodeError, malformed};
use super::reason::Reason;
use crate::topic::{NameError, TopicName};

/// Whether that is all that is wrong with it.
pub(super) fn is_too_deep(text: &str) -> bool {
    TopicName::parse(text) == Err(NameError::TooDeep)
}

/// Wildcards [MQTT-3.3.2-2] and names deeper than we allow are answered with "Topic Name invalid": the specification
/// leaves the code for the first open, and this one tells the author of a device where to look.
pub(super) fn name(text: &str) -> Result<TopicName, DecodeError> {
    let invalid = |detail| DecodeError { reason: Reason::TOPIC_NAME_INVALID, detail };
    TopicName::parse(text).map_err(|error| match error {
        // [MQTT-4.7.3-1]
        NameError::Empty => malformed("an empty topic name"),
        NameError::Nul => malformed("a topic name contains U+0000"),
        NameError::Wildcard(_) => invalid("a topic name contains a wildcard"),
        NameError::TooDeep => invalid("a topic name has too many levels"),
        NameError::TooLong => invalid("a topic name is too long"),
    })
}
