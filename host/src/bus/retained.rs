//! The last retained message of each topic (MQTT 5, section 3.3.1.3), bounded.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::message::Message;
use crate::topic::{TopicFilter, TopicName};

#[derive(Clone, Copy, Debug)]
pub struct RetainedLimits {
    pub max_messages: usize,
    pub max_bytes: usize,
}

/// A tree by topic level, so that a filter walks only where it can match. Ordered, so that replays are, too.
pub(super) struct Retained {
    root: Node,
    limits: RetainedLimits,
    messages: usize,
    bytes: usize,
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
        Self { root: Node::default(), limits, messages: 0, bytes: 0 }
    }

    /// Keeps the message, or forgets its topic when the payload is empty [MQTT-3.3.1-6].
    pub(super) fn store(&mut self, message: &Message, now: Instant) -> Stored {
        let levels: Vec<&str> = message.topic.levels().collect();
        let old = self.root.remove(&levels);
        let held = old.is_some();
        if let Some(old) = old {
            self.messages -= 1;
            self.bytes -= old.message.weight();
        }
        if message.payload.is_empty() {
            return Stored::Forgotten { held };
        }
        let weight = message.weight();
        if self.messages >= self.limits.max_messages || self.bytes + weight > self.limits.max_bytes {
            return Stored::Refused { held };
        }
        self.messages += 1;
        self.bytes += weight;
        self.root.place(&message.topic).held = Some(Held { message: message.clone(), arrived: now });
        Stored::Kept
    }

    /// Each retained message that matches and has not expired, with its arrival.
    pub(super) fn visit(&self, filter: &TopicFilter, now: Instant, mut found: impl FnMut(&Message, Instant)) {
        let levels: Vec<&str> = filter.levels().collect();
        self.root.visit(&levels, true, &mut |held| {
            if held.message.expiry().is_none_or(|expiry| now.duration_since(held.arrived) < expiry) {
                found(&held.message, held.arrived);
            }
        });
    }
}

// === impl Node ===

impl Node {
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
