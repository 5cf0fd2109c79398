//! A topic filter that has been checked once, and the shared form `$share/{group}/{filter}`.

use std::fmt;
use std::sync::Arc;

use crate::base::excerpt::brief;

use super::{MAX_BYTES, MAX_LEVELS, TopicName};

/// A valid topic filter (MQTT 5, section 4.7): `+` fills a level, `#` fills the last one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter(Arc<str>);

/// A filter as a subscriber writes it: with the group when it is shared (MQTT 5, section 4.8.2).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedFilter {
    pub group: Option<Arc<str>>,
    pub filter: TopicFilter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("a topic filter must have at least one character")]
    Empty,
    #[error("`#` stands for all remaining levels: write it alone, as the last level")]
    MultiLevel,
    #[error("`+` stands for one whole level: write it alone between two `/`")]
    SingleLevel,
    #[error("a topic filter must not contain the character U+0000")]
    Nul,
    #[error("a topic filter has at most {MAX_BYTES} bytes")]
    TooLong,
    #[error("a topic filter has at most {MAX_LEVELS} levels here")]
    TooDeep,
    #[error("a shared subscription is written `$share/{{group}}/{{filter}}`, the group without `+`, `#` and `/`")]
    Shared,
}

// === impl TopicFilter ===

impl TopicFilter {
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Err(FilterError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(FilterError::TooLong);
        }
        if text.contains('\0') {
            return Err(FilterError::Nul);
        }
        let mut levels = text.split('/').enumerate().peekable();
        while let Some((index, level)) = levels.next() {
            if index == MAX_LEVELS {
                return Err(FilterError::TooDeep);
            }
            if level.contains('#') && (level.len() > 1 || levels.peek().is_some()) {
                return Err(FilterError::MultiLevel);
            }
            if level.contains('+') && level.len() > 1 {
                return Err(FilterError::SingleLevel);
            }
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Where the names that match stand in the order of their bytes: from the first, up to and without the second. All others within
    /// begin alike and do not match. Without a second one to the end.
    pub fn range(&self) -> (&str, Option<String>) {
        let wildcard = self.0.find(['+', '#']);
        let literal = self.0.get(..wildcard.unwrap_or(self.0.len())).unwrap_or_default();
        match (wildcard, literal.strip_suffix('/')) {
            (None, _) => (literal, Some(format!("{literal}\0"))),
            // Of `sport/#` it is `sport` itself, and what begins with `sport/`: `0` is what follows `/`.
            (Some(_), Some(parent)) => (parent, Some(format!("{parent}0"))),
            (Some(_), None) => ("", None),
        }
    }

    /// Whether this one filter matches: what the specification says, word for word. The trie answers for many
    /// filters at once and is property-tested against this.
    pub fn matches(&self, name: &TopicName) -> bool {
        if name.is_reserved() && self.0.starts_with(['+', '#']) {
            return false;
        }
        let mut names = name.levels();
        for level in self.levels() {
            match (level, names.next()) {
                // `sport/#` also matches `sport` (section 4.7.1.2).
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (level, Some(name)) if level == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&brief(&self.0), f)
    }
}

// === impl SharedFilter ===

impl SharedFilter {
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let Some(shared) = text.strip_prefix("$share/") else {
            return Ok(Self { group: None, filter: TopicFilter::parse(text)? });
        };
        let (group, filter) = shared.split_once('/').ok_or(FilterError::Shared)?;
        if group.is_empty() || group.contains(['+', '#']) {
            return Err(FilterError::Shared);
        }
        let filter = TopicFilter::parse(filter).map_err(|error| match error {
            FilterError::Empty => FilterError::Shared,
            other => other,
        })?;
        Ok(Self { group: Some(group.into()), filter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(filter: &str, name: &str) -> bool {
        TopicFilter::parse(filter).unwrap().matches(&TopicName::parse(name).unwrap())
    }

    #[test]
    fn the_examples_of_section_4_7_match() {
        assert!(matches("sport/tennis/player1/#", "sport/tennis/player1"));
        assert!(matches("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"));
        assert!(matches("sport/tennis/+", "sport/tennis/player1"));
        assert!(!matches("sport/tennis/+", "sport/tennis/player1/ranking"));
        assert!(!matches("sport/+", "sport"));
        assert!(matches("sport/+", "sport/"));
        assert!(matches("+/+", "/finance"));
        assert!(!matches("+", "/finance"));
    }

    #[test]
    fn a_leading_wildcard_never_matches_a_dollar_topic() {
        assert!(!matches("#", "$SYS/uptime"));
        assert!(!matches("+/uptime", "$SYS/uptime"));
        assert!(matches("$SYS/#", "$SYS/uptime"));
        assert!(matches("a/+", "a/$b"));
    }

    #[test]
    fn each_rule_has_its_own_error() {
        let error = |text: &str| TopicFilter::parse(text).unwrap_err();
        assert_eq!(error(""), FilterError::Empty);
        assert_eq!(error("a#"), FilterError::MultiLevel);
        assert_eq!(error("#/a"), FilterError::MultiLevel);
        assert_eq!(error("a+/b"), FilterError::SingleLevel);
        assert_eq!(error("a\0"), FilterError::Nul);
    }

    #[test]
    fn a_shared_filter_needs_a_group_and_a_filter() {
        let shared = SharedFilter::parse("$share/workers/jobs/+").unwrap();
        assert_eq!(shared.group.as_deref(), Some("workers"));
        assert_eq!(shared.filter.as_str(), "jobs/+");
        for bad in ["$share/", "$share/g", "$share/g/", "$share//a", "$share/g+/a"] {
            assert_eq!(SharedFilter::parse(bad), Err(FilterError::Shared), "{bad}");
        }
    }
}
