//! The last retained message of each topic (MQTT 5, section 3.3.1.3), bounded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::message::Message;
use crate::topic::{TopicFilter, TopicName};

#[derive(Clone, Copy, Debug)]
pub struct RetainedLimits {
    pub max_messages: usize,
    pub max_bytes: usize,
}

/// How often a full store is searched for what has expired.
const PURGE_EVERY: Duration = Duration::from_secs(1);

/// Bytes of the topics that one search forgets, because all of them are written in one record.
const MAX_PURGE: usize = 64 * 1_024;

/// A tree by topic level, so that a filter walks only where it can match. Ordered, so that replays are, too.
pub(super) struct Retained {
    root: Node,
    limits: RetainedLimits,
    messages: usize,
    bytes: usize,
    purged: Option<Instant>,
}

#[derive(Default)]
struct Node {
    children: BTreeMap<Box<str>, Node>,
    held: Option<Held>,
}

struct Held {
    message: Message,
    arrived: Instant,
}

/// What became of a retained message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Kept,
    /// Its topic holds nothing now. `held`: whether it did before.
    Forgotten {
        held: bool,
    },
    /// No room. The older message of that topic is gone as well, because it is no longer the last one.
    Refused {
        held: bool,
    },
}

// === impl Retained ===

impl Retained {
    pub(super) fn new(limits: RetainedLimits) -> Self {
        Self { root: Node::default(), limits, messages: 0, bytes: 0, purged: None }
    }

    /// Keeps the message, or forgets its topic when the payload is empty [MQTT-3.3.1-6].
    /// `purged` are topics that had to go because they have expired.
    pub(super) fn store(&mut self, message: &Message, now: Instant, purged: &mut Vec<TopicName>) -> Stored {
        let levels: Vec<&str> = message.topic.levels().collect();
        let old = self.root.remove(&levels);
        let held = old.is_some();
        let old_weight = old.as_ref().map(|old| old.message.weight());
        if let Some(old) = old {
            self.messages -= 1;
            self.bytes -= old.message.weight();
        }
        if message.payload.is_empty() {
            return Stored::Forgotten { held };
        }
        let weight = message.weight();
        // No larger than what it replaces: it has room even when the limits have become lower.
        let replaces = old_weight.is_some_and(|old| weight <= old);
        if !replaces && !self.has_room(weight) {
            self.purge(now, purged);
        }
        if !replaces && !self.has_room(weight) {
            return Stored::Refused { held };
        }
        self.keep(message, now);
        Stored::Kept
    }

    /// As it was before a restart. Whether it is beyond the limits.
    pub(super) fn restore(&mut self, message: &Message, now: Instant) -> bool {
        let is_over = !self.has_room(message.weight());
        self.keep(message, now);
        is_over
    }

    fn keep(&mut self, message: &Message, now: Instant) {
        self.messages += 1;
        self.bytes += message.weight();
        self.root.place(&message.topic).held = Some(Held { message: message.clone(), arrived: now });
    }

    fn has_room(&self, weight: usize) -> bool {
        self.messages < self.limits.max_messages && self.bytes + weight <= self.limits.max_bytes
    }

    /// Drops what has expired. A walk of the whole tree, so not with every message that finds it full.
    fn purge(&mut self, now: Instant, purged: &mut Vec<TopicName>) {
        if self.purged.is_some_and(|last| now.saturating_duration_since(last) < PURGE_EVERY) {
            return;
        }
        self.purged = Some(now);
        let mut left = MAX_PURGE;
        self.root.purge(now, &mut |held| {
            self.messages -= 1;
            self.bytes -= held.message.weight();
            left = left.saturating_sub(held.message.topic.as_str().len().max(1));
            purged.push(held.message.topic);
            left > 0
        });
    }

    /// Each retained message that matches and has not expired, with its arrival.
    pub(super) fn visit(&self, filter: &TopicFilter, now: Instant, mut found: impl FnMut(&Message, Instant)) {
        let levels: Vec<&str> = filter.levels().collect();
        self.root.visit(&levels, true, &mut |held| {
            if !held.has_expired(now) {
                found(&held.message, held.arrived);
            }
        });
    }
}

impl Held {
    fn has_expired(&self, now: Instant) -> bool {
        self.message.expiry().is_some_and(|expiry| now.saturating_duration_since(self.arrived) >= expiry)
    }
}

// === impl Node ===

impl Node {
    /// Takes out what has expired, until `gone` says that it is enough.
    fn purge(&mut self, now: Instant, gone: &mut impl FnMut(Held) -> bool) -> bool {
        let mut go_on = self.held.take_if(|held| held.has_expired(now)).is_none_or(&mut *gone);
        self.children.retain(|_, child| {
            go_on = go_on && child.purge(now, gone);
            child.held.is_some() || !child.children.is_empty()
        });
        go_on
    }

    fn place(&mut self, topic: &TopicName) -> &mut Self {
        topic.levels().fold(self, |node, level| node.children.entry(level.into()).or_default())
    }

    fn remove(&mut self, levels: &[&str]) -> Option<Held> {
        let Some((first, rest)) = levels.split_first() else { return self.held.take() };
        let child = self.children.get_mut(*first)?;
        let held = child.remove(rest);
        if child.held.is_none() && child.children.is_empty() {
            self.children.remove(*first);
        }
        held
    }

    /// Recursion is as deep as a topic has levels: `topic::MAX_LEVELS` at most.
    fn visit(&self, levels: &[&str], at_root: bool, found: &mut impl FnMut(&Held)) {
        let Some((first, rest)) = levels.split_first() else {
            self.held.iter().for_each(found);
            return;
        };
        // A leading wildcard passes `$` topics by [MQTT-4.7.2-1].
        let open = self.children.iter().filter(|(level, _)| !(at_root && level.starts_with('$')));
        match *first {
            "#" => {
                self.held.iter().for_each(&mut *found);
                open.for_each(|(_, child)| child.visit(levels, false, found));
            }
            "+" => open.for_each(|(_, child)| child.visit(rest, false, found)),
            literal => {
                if let Some(child) = self.children.get(literal) {
                    child.visit(rest, false, found);
                }
            }
        }
    }
}
