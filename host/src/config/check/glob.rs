//! Can two patterns mean the same topic?
//!
//! A filter is a pattern, and so is a template whose places are filled with `+` and `#`: `by/{client}` may become any
//! topic that `by/#` describes. Here `#` may stand anywhere, even within a level, because a place may.
//!
//! Both patterns are small automata over characters; they meet when the product of the two can reach its end. That is
//! exact for the patterns, which themselves say a little more than can happen: conservative on purpose.

use std::collections::HashSet;

/// A set of topics.
#[derive(Clone, Debug)]
pub struct Glob {
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Char(char),
    /// `+`: characters of one level, or none.
    Level,
    /// `#`: any characters, or none.
    Anything,
    /// The `/` of `/#`: this and the `#` behind it may both be absent, as `sport/#` matches `sport` (section 4.7.1.2).
    MaybeSlash,
}

// === impl Glob ===

impl Glob {
    pub fn new(pattern: &str) -> Self {
        let mut pieces = Vec::with_capacity(pattern.len());
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            pieces.push(match character {
                '+' => Piece::Level,
                '#' => Piece::Anything,
                '/' if characters.peek() == Some(&'#') => Piece::MaybeSlash,
                other => Piece::Char(other),
            });
        }
        Self { pieces }
    }

    /// Whether there is a topic that both describe.
    pub fn meets(&self, other: &Self) -> bool {
        if self.hides_from(other) || other.hides_from(self) {
            return false;
        }
        let mut seen = HashSet::from([(0, 0)]);
        let mut open = vec![(0, 0)];
        while let Some((here, there)) = open.pop() {
            if here == self.pieces.len() && there == other.pieces.len() {
                return true;
            }
            let next = steps(self.pieces.get(here), other.pieces.get(there), here, there);
            open.extend(next.into_iter().flatten().filter(|state| seen.insert(*state)));
        }
        false
    }

    /// A leading wildcard never matches a topic that begins with `$` [MQTT-4.7.2-1].
    fn hides_from(&self, other: &Self) -> bool {
        let wild = matches!(other.pieces.first(), Some(Piece::Level | Piece::Anything));
        wild && self.pieces.first() == Some(&Piece::Char('$'))
    }
}

type State = (usize, usize);

/// Where the product can go from one state: either side gives up a piece, or both take the same character.
fn steps(one: Option<&Piece>, other: Option<&Piece>, here: usize, there: usize) -> [Option<State>; 3] {
    let skip_one = one.and_then(|piece| piece.skip()).map(|skip| (here + skip, there));
    let skip_other = other.and_then(|piece| piece.skip()).map(|skip| (here, there + skip));
    let both = match (one, other) {
        (Some(one), Some(other)) if one.shares(*other) => Some((here + one.advance(), there + other.advance())),
        _ => None,
    };
    [skip_one, skip_other, both]
}

// === impl Piece ===

impl Piece {
    /// How many pieces are passed when this one stands for nothing.
    fn skip(self) -> Option<usize> {
        match self {
            Self::Char(_) => None,
            Self::Level | Self::Anything => Some(1),
            Self::MaybeSlash => Some(2),
        }
    }

    /// How many pieces are passed with one character taken.
    fn advance(self) -> usize {
        match self {
            Self::Char(_) | Self::MaybeSlash => 1,
            Self::Level | Self::Anything => 0,
        }
    }

    /// Whether some character suits both.
    fn shares(self, other: Self) -> bool {
        match (self.only(), other.only()) {
            (Some(one), Some(other)) => one == other,
            (Some(one), None) => one != '/' || other == Self::Anything,
            (None, Some(other)) => other != '/' || self == Self::Anything,
            (None, None) => true,
        }
    }

    fn only(self) -> Option<char> {
        match self {
            Self::Char(character) => Some(character),
            Self::MaybeSlash => Some('/'),
            Self::Level | Self::Anything => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::topic::{TopicFilter, TopicName};

    #[test]
    fn patterns_meet_when_one_topic_suits_both() {
        for (one, other, meet) in [
            ("a/b", "a/b", true),
            ("a/b", "a/c", false),
            ("a/+", "+/b", true),
            ("a/+", "a/b/c", false),
            ("a/#", "a", true),
            ("a/#", "b/#", false),
            ("by/#", "by/+/state", true),
            ("x/#/end", "x/y/z/end", true),
            ("x/#/end", "x/y/z/start", false),
            ("pre#", "prefix/a", true),
            ("#", "$tidegate/dead-letter/a", false),
            ("+/dead-letter/#", "$tidegate/dead-letter/a", false),
            ("$tidegate/#", "$tidegate/dead-letter/a", true),
        ] {
            assert_eq!(Glob::new(one).meets(&Glob::new(other)), meet, "{one} {other}");
            assert_eq!(Glob::new(other).meets(&Glob::new(one)), meet, "{other} {one}");
        }
    }

    fn name() -> impl Strategy<Value = String> {
        let level = prop::sample::select(vec!["a", "b", "", "$s"]);
        let joined = prop::collection::vec(level, 1..5).prop_map(|levels| levels.join("/"));
        joined.prop_map(|name| if name.is_empty() { "a".to_owned() } else { name })
    }

    /// A filter that was made from a name, and matches it but for the rule of `$`.
    fn filter_of(name: &str, wild: &[bool], rest: Option<usize>) -> String {
        let level = |(level, wild): (&str, &bool)| if *wild { "+".to_owned() } else { level.to_owned() };
        let mut levels: Vec<String> = name.split('/').zip(wild).map(level).collect();
        if let Some(rest) = rest {
            levels.truncate(rest);
            levels.push("#".to_owned());
        }
        levels.join("/")
    }

    fn wildcards() -> impl Strategy<Value = (Vec<bool>, Option<usize>)> {
        (prop::collection::vec(any::<bool>(), 5), prop::option::of(0..5usize))
    }

    fn matches(filter: &str, name: &str) -> bool {
        TopicFilter::parse(filter).unwrap().matches(&TopicName::parse(name).unwrap())
    }

    proptest! {
        #[test]
        fn a_topic_without_wildcards_meets_exactly_the_filters_that_match_it(
            name in name(), other in name(), (wild, rest) in wildcards()
        ) {
            for source in [&name, &other] {
                let filter = filter_of(source, &wild, rest);
                prop_assert_eq!(Glob::new(&name).meets(&Glob::new(&filter)), matches(&filter, &name), "{}", filter);
            }
        }

        #[test]
        fn two_filters_that_match_one_topic_meet(name in name(), one in wildcards(), other in wildcards()) {
            let [one, other] = [one, other].map(|(wild, rest)| filter_of(&name, &wild, rest));
            if matches(&one, &name) && matches(&other, &name) {
                prop_assert!(Glob::new(&one).meets(&Glob::new(&other)), "{one} {other}");
            }
        }
    }
}
