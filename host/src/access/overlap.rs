//! Filters as sets of topics: what two have in common, and whether some topic of one is in none of others. Exact.
//!
//! What two filters have in common is a filter again. Whether others cover it is tried with one topic for each number of levels: where the
//! filter has a wildcard, that topic has a level that stands in no filter. Whatever matches it there does so by a wildcard, and then
//! matches all topics of that shape.

use std::borrow::Cow;

use crate::topic::{MAX_LEVELS, TopicFilter};

/// Its levels, the names of a client filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter<'a> {
    levels: Vec<Level<'a>>,
    /// `#` at the end.
    is_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level<'a> {
    Text(Cow<'a, str>),
    Any,
}

/// A topic whose `None` are levels that stand nowhere.
type Topic<'a> = Vec<Option<&'a str>>;

// === impl Filter ===

impl<'a> Filter<'a> {
    pub fn of(filter: &'a TopicFilter) -> Self {
        Self::from_levels(filter.levels().map(Cow::Borrowed).collect())
    }

    pub fn from_levels(mut levels: Vec<Cow<'a, str>>) -> Self {
        let is_open = levels.pop_if(|last| *last == "#").is_some();
        let level = |text: Cow<'a, str>| if text == "+" { Level::Any } else { Level::Text(text) };
        Self { levels: levels.into_iter().map(level).collect(), is_open }
    }

    /// A leading wildcard never matches a topic that begins with `$` [MQTT-4.7.2-1].
    fn hides_from(&self, other: &Self) -> bool {
        let is_wild = match self.levels.first() {
            Some(first) => *first == Level::Any,
            None => self.is_open,
        };
        is_wild && matches!(other.levels.first(), Some(Level::Text(text)) if text.starts_with('$'))
    }

    fn matches(&self, topic: &Topic<'_>) -> bool {
        let is_long_enough = topic.len() >= self.levels.len();
        let fits = is_long_enough && (self.is_open || topic.len() == self.levels.len());
        let is_reserved = topic.first().is_some_and(|first| first.is_some_and(|text| text.starts_with('$')));
        let is_hidden = is_reserved && !matches!(self.levels.first(), Some(Level::Text(_)));
        let level = |(own, level): (&Level<'_>, &Option<&str>)| match own {
            Level::Any => true,
            Level::Text(text) => *level == Some(text),
        };
        fits && !is_hidden && self.levels.iter().zip(topic).all(level)
    }
}

/// None when no topic is in both.
pub(super) fn intersection<'a>(one: &Filter<'a>, other: &Filter<'a>) -> Option<Filter<'a>> {
    if one.hides_from(other) || other.hides_from(one) {
        return None;
    }
    let (short, long) = if one.levels.len() <= other.levels.len() { (one, other) } else { (other, one) };
    if long.levels.len() > short.levels.len() && !short.is_open {
        return None;
    }
    let mut levels = Vec::with_capacity(long.levels.len());
    for (index, level) in long.levels.iter().enumerate() {
        levels.push(match (level, short.levels.get(index)) {
            (level, None | Some(Level::Any)) => level.clone(),
            (Level::Any, Some(own)) => own.clone(),
            (Level::Text(text), Some(Level::Text(own))) if text == own => level.clone(),
            _ => return None,
        });
    }
    Some(Filter { levels, is_open: one.is_open && other.is_open })
}

/// Whether a topic of the filter is in none of the others.
pub(super) fn has_uncovered(filter: &Filter<'_>, others: &[Filter<'_>]) -> bool {
    let deepest = others.iter().map(|other| other.levels.len()).max().unwrap_or(0);
    let own = filter.levels.len();
    let longest = if filter.is_open { (deepest + 1).max(own).min(MAX_LEVELS) } else { own };
    (own.max(1)..=longest.max(1)).any(|length| {
        let topic = sample(filter, length);
        !others.iter().any(|other| other.matches(&topic))
    })
}

fn sample<'a>(filter: &'a Filter<'_>, length: usize) -> Topic<'a> {
    let text = |level: &'a Level<'_>| match level {
        Level::Text(text) => Some(&**text),
        Level::Any => None,
    };
    let levels = filter.levels.iter().map(text);
    levels.chain(std::iter::repeat(None)).take(length).collect()
}
