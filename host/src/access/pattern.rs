//! A topic filter with places for the names of who asks: `sensors/{user}/#`, in an ACL file `sensors/%u/#`.
//!
//! It is not filled for each client: its filter has `+` where a level has places, so that all clients share one trie, and what matches there
//! is compared with the names. A `+` at the beginning never matches a topic that begins with `$`, and so a name cannot, either.

use std::borrow::Cow;

use super::identity::{Identity, Names};
use crate::topic::{FilterError, TopicFilter, TopicName};

#[derive(Clone, Debug)]
pub struct Pattern {
    /// With `+` for each level that has places.
    filter: TopicFilter,
    filled: Box<[Filled]>,
    text: Box<str>,
}

/// How places are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// `{user}`, `{client}`
    Braces,
    /// `%u`, `%c`
    Percent,
    /// There are none: `topic` in an ACL file.
    Without,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("`{{{0}}}` is no name of who asks; use {{user}} or {{client}}")]
    UnknownPlace(String),
    #[error("`{{` opens a name that is not closed by `}}` in the same level")]
    Unclosed,
}

/// A level with places.
#[derive(Clone, Debug)]
struct Filled {
    level: usize,
    parts: Box<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    User,
    Client,
}

// === impl Pattern ===

impl Pattern {
    pub fn parse(text: &str, places: Places) -> Result<Self, PatternError> {
        let mut filled = Vec::new();
        let (mut sample, mut wide) = (Vec::new(), Vec::new());
        for (level, typed) in text.split('/').enumerate() {
            let parts = places.parts(typed)?;
            if parts.iter().all(|part| matches!(part, Part::Text(_))) {
                sample.push(Cow::Borrowed(typed));
                wide.push(typed);
                continue;
            }
            sample.push(parts.iter().map(Part::sample).collect());
            wide.push("+");
            filled.push(Filled { level, parts: parts.into() });
        }
        // A wildcard beside a place is refused as it is in any filter.
        TopicFilter::parse(&sample.join("/"))?;
        Ok(Self { filter: TopicFilter::parse(&wide.join("/"))?, filled: filled.into(), text: text.into() })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it matches at most.
    pub(super) fn filter(&self) -> &TopicFilter {
        &self.filter
    }

    /// Of a topic that the filter matches: whether these names fill the places as they stand there.
    pub(super) fn is_filled(&self, topic: &TopicName, names: &Names) -> bool {
        (self.filled.iter()).all(|filled| topic.levels().nth(filled.level).is_some_and(|text| filled.is(text, names)))
    }

    /// Its levels for these names. None when one of its places has no name that may stand there.
    pub(super) fn levels<'a>(&'a self, names: &'a Names) -> Option<Vec<Cow<'a, str>>> {
        let mut levels: Vec<Cow<'a, str>> = self.filter.levels().map(Cow::Borrowed).collect();
        for filled in &*self.filled {
            let text: String = filled.parts.iter().map(|part| part.of(names)).collect::<Option<_>>()?;
            if filled.level == 0 && text.starts_with('$') {
                return None;
            }
            *levels.get_mut(filled.level)? = text.into();
        }
        Some(levels)
    }

    /// False when no topic is in both, whatever the names are. A quick look: not each time that it is so.
    pub(super) fn may_meet(&self, other: &TopicFilter) -> bool {
        let (mut own, mut others) = (self.filter.levels(), other.levels());
        loop {
            match (own.next(), others.next()) {
                (None, None) | (Some("#"), _) | (_, Some("#")) => return true,
                (Some("+"), Some(_)) | (Some(_), Some("+")) => {}
                (Some(one), Some(other)) if one == other => {}
                _ => return false,
            }
        }
    }

    /// Filled with whatever the names are, for a line that denies: there a name of several levels takes nothing that another one has.
    pub(super) fn literally(&self, identity: &Identity) -> Option<TopicFilter> {
        let names = Names { user: identity.user.clone(), client: Some(identity.client.clone()) };
        let mut levels: Vec<Cow<'_, str>> = self.filter.levels().map(Cow::Borrowed).collect();
        for filled in &*self.filled {
            let text: String = filled.parts.iter().map(|part| part.of(&names)).collect::<Option<_>>()?;
            *levels.get_mut(filled.level)? = text.into();
        }
        TopicFilter::parse(&levels.join("/")).ok()
    }

    /// Whether each of its places has a name that may stand there.
    pub(super) fn is_for(&self, names: &Names) -> bool {
        self.filled.is_empty() || self.levels(names).is_some()
    }

    pub fn has_user(&self) -> bool {
        self.filled.iter().any(|filled| filled.parts.contains(&Part::User))
    }
}

// === impl Places ===

impl Places {
    fn parts(self, level: &str) -> Result<Vec<Part>, PatternError> {
        match self {
            Self::Braces => braces(level),
            Self::Percent => Ok(percent(level)),
            Self::Without => Ok(vec![Part::Text(level.to_owned())]),
        }
    }
}

fn braces(level: &str) -> Result<Vec<Part>, PatternError> {
    let (mut parts, mut rest) = (Vec::new(), level);
    while let Some((before, opened)) = rest.split_once('{') {
        let (place, behind) = opened.split_once('}').ok_or(PatternError::Unclosed)?;
        parts.push(Part::Text(before.to_owned()));
        parts.push(match place {
            "user" => Part::User,
            "client" => Part::Client,
            other => return Err(PatternError::UnknownPlace(other.to_owned())),
        });
        rest = behind;
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

/// As mosquitto does: `%` before anything else stands for itself.
fn percent(level: &str) -> Vec<Part> {
    let (mut parts, mut text) = (Vec::new(), String::new());
    let mut characters = level.chars().peekable();
    while let Some(character) = characters.next() {
        let place = match (character, characters.peek()) {
            ('%', Some('u')) => Part::User,
            ('%', Some('c')) => Part::Client,
            _ => {
                text.push(character);
                continue;
            }
        };
        characters.next();
        parts.push(Part::Text(std::mem::take(&mut text)));
        parts.push(place);
    }
    parts.push(Part::Text(text));
    parts
}

// === impl Filled ===

impl Filled {
    fn is(&self, level: &str, names: &Names) -> bool {
        let behind = |rest: &'_ str, part: &Part| {
            let name = part.of(names)?;
            rest.strip_prefix(name).map(str::len)
        };
        let mut rest = level;
        for part in &*self.parts {
            let Some(left) = behind(rest, part) else { return false };
            rest = &rest[rest.len() - left..];
        }
        rest.is_empty()
    }
}

// === impl Part ===

impl Part {
    fn of<'a>(&'a self, names: &'a Names) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::User => names.user.as_deref(),
            Self::Client => names.client.as_deref(),
        }
    }

    fn sample(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::User | Self::Client => "x",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(user: Option<&str>, client: &str) -> Names {
        Identity { user: user.map(Into::into), client: client.into(), listener: "l".into() }.names()
    }

    fn matches(pattern: &str, topic: &str, names: &Names) -> bool {
        let pattern = Pattern::parse(pattern, Places::Braces).unwrap();
        let topic = TopicName::parse(topic).unwrap();
        pattern.filter().matches(&topic) && pattern.is_filled(&topic, names)
    }

    #[test]
    fn a_place_is_filled_with_the_name_and_nothing_else() {
        let names = names(Some("ann"), "c1");
        assert!(matches("s/{user}/#", "s/ann/t", &names) && matches("s/{user}/#", "s/ann", &names));
        assert!(matches("{client}-{user}.x", "c1-ann.x", &names));
        assert!(!matches("s/{user}/#", "s/bob/t", &names) && !matches("s/{user}", "s/anna", &names));
        assert!(!matches("s/x{user}", "s/ann", &names) && !matches("s/{user}x", "s/ann", &names));
    }

    #[test]
    fn a_name_that_is_not_one_level_fills_no_place() {
        for odd in ["+", "#", "a/b", "a\0", "", "/", "a+"] {
            let names = names(Some(odd), odd);
            for topic in ["s/a/b/t", "s/a/t", "s//t", "s/a+/t".trim_end_matches("+/t")] {
                assert!(!matches("s/{user}/#", topic, &names) && !matches("s/{client}/#", topic, &names), "{odd:?}");
            }
            assert!(Pattern::parse("s/{user}", Places::Braces).unwrap().levels(&names).is_none(), "{odd:?}");
        }
    }

    #[test]
    fn a_name_does_not_reach_the_topics_of_the_broker() {
        let names = names(Some("$SYS"), "$SYS");
        assert!(!matches("{user}/#", "$SYS/uptime", &names));
        assert!(Pattern::parse("{user}/#", Places::Braces).unwrap().levels(&names).is_none());
        assert!(matches("a/{user}", "a/$SYS", &names));
    }

    #[test]
    fn percent_is_read_as_mosquitto_reads_it() {
        let is = |pattern: &str, topic: &str| {
            let pattern = Pattern::parse(pattern, Places::Percent).unwrap();
            let topic = TopicName::parse(topic).unwrap();
            pattern.filter().matches(&topic) && pattern.is_filled(&topic, &names(Some("u1"), "c1"))
        };
        assert!(is("a/%u", "a/u1") && is("a/%c/+", "a/c1/x") && is("a/%%u", "a/%u1") && is("a/%x", "a/%x"));
        assert!(is("%u%c", "u1c1") && is("100%", "100%") && !is("a/%u", "a/%u"));
    }

    #[test]
    fn what_cannot_be_a_filter_is_refused() {
        let error = |text: &str, places| Pattern::parse(text, places).unwrap_err();
        assert_eq!(error("a/{user}+", Places::Braces), FilterError::SingleLevel.into());
        assert_eq!(error("a/%u#", Places::Percent), FilterError::MultiLevel.into());
        assert_eq!(error("#/{user}", Places::Braces), FilterError::MultiLevel.into());
        assert_eq!(error("a/{topic}", Places::Braces), PatternError::UnknownPlace("topic".into()));
        assert_eq!(error("a/{user", Places::Braces), PatternError::Unclosed);
        assert_eq!(error("", Places::Braces), FilterError::Empty.into());
    }
}
