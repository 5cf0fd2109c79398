//! What one client may do under the present rules.

use std::sync::Arc;

use super::decision::{Action, Decision, Ground};
use super::identity::Names;
use super::layer::{Entry, Grant, Layer};
use super::overlap::{Filter, has_uncovered, intersection};
use crate::topic::{TopicFilter, TopicName};

#[derive(Clone, Debug)]
pub struct Granted {
    pub(super) names: Names,
    /// The first of them that decides does.
    pub(super) layers: Vec<Arc<Layer>>,
    /// By their layers and lines.
    pub(super) odd: Vec<Odd>,
    /// Why it is as it is when nothing of these decides.
    pub(super) otherwise: Ground,
    /// Everything is allowed, and nothing is asked.
    pub(super) is_open: bool,
}

/// A line that denies, for a client with an unusual name.
#[derive(Clone, Debug)]
pub(super) struct Odd {
    pub layer: usize,
    pub index: usize,
    pub filter: TopicFilter,
}

// === impl Granted ===

impl Granted {
    pub fn everything() -> Self {
        Self { is_open: true, ..Self::nothing(Ground::Open) }
    }

    pub fn nothing(ground: Ground) -> Self {
        let (layers, odd) = (Vec::new(), Vec::new());
        Self { names: Names::default(), layers, odd, otherwise: ground, is_open: false }
    }

    pub fn allows(&self, action: Action, topic: &TopicName) -> bool {
        self.is_open || self.find(action, topic).is_some_and(|entry| entry.grant.allows(action))
    }

    pub fn decide(&self, action: Action, topic: &TopicName) -> Decision {
        match self.find(action, topic) {
            Some(entry) => by(entry, entry.grant.allows(action)),
            None => self.without_a_line(),
        }
    }

    /// Whether there is a topic that the filter matches and that may be received.
    pub fn allows_filter(&self, filter: &TopicFilter) -> bool {
        self.is_open || self.reach(filter).is_some_and(|entry| entry.grant.allows(Action::Subscribe))
    }

    pub fn decide_filter(&self, filter: &TopicFilter) -> Decision {
        match self.reach(filter) {
            Some(entry) => by(entry, entry.grant.allows(Action::Subscribe)),
            None => self.without_a_line(),
        }
    }

    fn without_a_line(&self) -> Decision {
        Decision { is_allowed: self.is_open, ground: self.otherwise.clone() }
    }

    fn find(&self, action: Action, topic: &TopicName) -> Option<&Entry> {
        self.layers.iter().enumerate().find_map(|(number, layer)| {
            let usual = layer.find(action, topic, &self.names);
            let is_odd = |odd: &&Odd| odd.layer == number && odd.filter.matches(topic);
            let odd = self.odd.iter().find(is_odd).map(|odd| odd.index);
            let first = usual.into_iter().chain(odd).min()?;
            layer.entries().get(first)
        })
    }

    /// The line that allows a part of the filter, or the first of those that deny all of it.
    fn reach(&self, filter: &TopicFilter) -> Option<&Entry> {
        // Without a wildcard it is one topic.
        if let Ok(topic) = TopicName::parse(filter.as_str()) {
            return self.find(Action::Subscribe, &topic);
        }
        let asked = Filter::of(filter);
        let (mut denials, mut first) = (Vec::new(), None);
        for (layer, index, entry) in self.lines().filter(|(_, _, entry)| entry.grant.is_about(Action::Subscribe)) {
            // One SUBSCRIBE may have very many filters, and most lines are for other topics: these are passed by without a copy.
            if !entry.pattern.may_meet(filter) && self.odd.is_empty() {
                continue;
            }
            let Some(lines) = self.filter_of(layer, index, entry) else { continue };
            let Some(common) = intersection(&asked, &lines) else { continue };
            if entry.grant == Grant::Deny {
                first = first.or(Some(entry));
                denials.push(lines);
            } else if has_uncovered(&common, &denials) {
                return Some(entry);
            }
        }
        first.filter(|_| !has_uncovered(&asked, &denials))
    }

    fn lines(&self) -> impl Iterator<Item = (usize, usize, &Entry)> {
        self.layers.iter().enumerate().flat_map(|(number, layer)| {
            layer.entries().iter().enumerate().map(move |(index, entry)| (number, index, entry))
        })
    }

    fn filter_of<'a>(&'a self, layer: usize, index: usize, entry: &'a Entry) -> Option<Filter<'a>> {
        let odd = self.odd.iter().find(|odd| (odd.layer, odd.index) == (layer, index));
        match odd {
            Some(odd) => Some(Filter::of(&odd.filter)),
            None => entry.pattern.levels(&self.names).map(Filter::from_levels),
        }
    }
}

fn by(entry: &Entry, is_allowed: bool) -> Decision {
    Decision { is_allowed, ground: Ground::Line(entry.place.clone(), entry.text.clone()) }
}
