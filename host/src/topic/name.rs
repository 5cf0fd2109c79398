//! A topic name that has been checked once and is trusted from then on.

use std::borrow::Borrow;
use std::fmt;
use std::str::Split;
use std::sync::Arc;

use crate::base::excerpt::brief;

use super::{MAX_BYTES, MAX_LEVELS};

/// A valid topic name (MQTT 5, section 4.7): not empty, no wildcard, no NUL, at most 65,535 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a topic name must have at least one character")]
    Empty,
    #[error("a topic name must not contain the wildcard `{0}`")]
    Wildcard(char),
    #[error("a topic name must not contain the character U+0000")]
    Nul,
    #[error("a topic name has at most {MAX_BYTES} bytes")]
    TooLong,
    #[error("a topic name has at most {MAX_LEVELS} levels here")]
    TooDeep,
}

// === impl TopicName ===

impl TopicName {
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(NameError::TooLong);
        }
        let mut levels = 1;
        for byte in text.bytes() {
            match byte {
                b'+' | b'#' => return Err(NameError::Wildcard(byte.into())),
                0 => return Err(NameError::Nul),
                b'/' => levels += 1,
                _ => {}
            }
        }
        if levels > MAX_LEVELS {
            return Err(NameError::TooDeep);
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn levels(&self) -> Split<'_, char> {
        self.0.split('/')
    }

    /// What the topics begin with that nobody else publishes on here.
    pub const GATEWAYS_OWN: [&str; 2] = ["$SYS/", "$tidegate/"];

    /// Below `$SYS/` and `$tidegate/` only the gateway itself speaks: devices and plugins may read there, not write.
    pub fn is_gateways_own(&self) -> bool {
        Self::GATEWAYS_OWN.iter().any(|own| self.0.starts_with(own))
    }

    /// Topics that begin with `$` belong to the server: a leading wildcard never matches them [MQTT-4.7.2-1].
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('$')
    }
}

/// For maps that are asked with a text: order and hash are those of the text.
impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&brief(&self.0), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_specification_are_accepted() {
        for good in ["a", "/", "/finance", "a//b", "$SYS/x", "é/x", " "] {
            assert_eq!(TopicName::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn each_rule_has_its_own_error() {
        assert_eq!(TopicName::parse(""), Err(NameError::Empty));
        assert_eq!(TopicName::parse("a/+"), Err(NameError::Wildcard('+')));
        assert_eq!(TopicName::parse("a#"), Err(NameError::Wildcard('#')));
        assert_eq!(TopicName::parse("a\0b"), Err(NameError::Nul));
        assert_eq!(TopicName::parse(&"x".repeat(MAX_BYTES + 1)), Err(NameError::TooLong));
        assert_eq!(TopicName::parse(&"/".repeat(MAX_LEVELS)), Err(NameError::TooDeep));
    }
}
