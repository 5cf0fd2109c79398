//! The last retained message of each topic (MQTT 5, section 3.3.1.3), bounded.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::access::Source;
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

/// By topic, in one ordered map: a filter walks the topics that begin as it does, and a replay goes on behind the topic where it
/// stopped. Not chosen: a tree by level, in which a topic of 200 levels takes 200 nodes, half a megabyte for 800 bytes.
pub(super) struct Retained {
    topics: BTreeMap<TopicName, Held>,
    limits: RetainedLimits,
    bytes: usize,
    payload_bytes: usize,
    /// How many of the topics are the gateway's own.
    own: usize,
    purged: Option<Instant>,
    /// Of what was restored last: neighbours are often of one client.
    restored: Option<Arc<Source>>,
}

pub(super) struct Held {
    pub message: Message,
    pub arrived: Instant,
    /// Who has published it, where that is asked.
    pub source: Option<Arc<Source>>,
    /// The gateway says it of itself: beside the limits, and not written.
    is_own: bool,
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
        Self { topics: BTreeMap::new(), limits, bytes: 0, payload_bytes: 0, own: 0, purged: None, restored: None }
    }

    /// Keeps the message, or forgets its topic when the payload is empty [MQTT-3.3.1-6].
    /// `purged` are topics that had to go because they have expired.
    pub(super) fn store(
        &mut self,
        message: &Message,
        source: Option<&Arc<Source>>,
        now: Instant,
        purged: &mut Vec<TopicName>,
    ) -> Stored {
        let old_weight = self.forget(&message.topic);
        let held = old_weight.is_some();
        if message.payload.is_empty() {
            return Stored::Forgotten { held };
        }
        let weight = weight(message, source);
        // No larger than what it replaces: it has room even when the limits have become lower.
        let replaces = old_weight.is_some_and(|old| weight <= old);
        if !replaces && !self.has_room(weight) {
            self.purge(now, purged);
        }
        if !replaces && !self.has_room(weight) {
            return Stored::Refused { held };
        }
        self.keep(message, source.cloned(), now);
        Stored::Kept
    }

    pub(super) fn get(&self, topic: &TopicName) -> Option<&Held> {
        self.topics.get(topic)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many there are, and the bytes of their payloads.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.topics.len(), self.payload_bytes)
    }

    /// What the gateway says of itself, which is a few dozen topics and never more.
    pub(super) fn keep_own(&mut self, message: &Message, now: Instant) {
        self.forget(&message.topic);
        self.own += 1;
        self.insert(Held { message: message.clone(), arrived: now, source: None, is_own: true });
    }

    /// As it was before a restart. Whether it is beyond the limits.
    pub(super) fn restore(&mut self, message: &Message, source: Option<Source>, now: Instant) -> bool {
        let source = source.map(|source| match &self.restored {
            Some(last) if **last == source => last.clone(),
            _ => Arc::new(source),
        });
        self.restored.clone_from(&source);
        let is_over = !self.has_room(weight(message, source.as_ref()));
        self.keep(message, source, now);
        is_over
    }

    fn keep(&mut self, message: &Message, source: Option<Arc<Source>>, now: Instant) {
        self.bytes += weight(message, source.as_ref());
        self.insert(Held { message: message.clone(), arrived: now, source, is_own: false });
    }

    fn insert(&mut self, held: Held) {
        self.payload_bytes += held.message.payload.len();
        self.topics.insert(held.message.topic.clone(), held);
    }

    /// The weight of what there was.
    fn forget(&mut self, topic: &TopicName) -> Option<usize> {
        let old = self.topics.remove(topic)?;
        self.payload_bytes -= old.message.payload.len();
        let weight = old.weight();
        match old.is_own {
            true => self.own -= 1,
            false => self.bytes -= weight,
        }
        Some(weight)
    }

    fn has_room(&self, weight: usize) -> bool {
        self.topics.len() - self.own < self.limits.max_messages && self.bytes + weight <= self.limits.max_bytes
    }

    /// Drops what has expired. A walk over everything, so not with every message that finds it full.
    fn purge(&mut self, now: Instant, purged: &mut Vec<TopicName>) {
        if self.purged.is_some_and(|last| now.saturating_duration_since(last) < PURGE_EVERY) {
            return;
        }
        self.purged = Some(now);
        let mut left = MAX_PURGE;
        self.topics.retain(|topic, held| {
            let goes = left > 0 && !held.is_own && held.has_expired(now);
            if goes {
                self.bytes -= held.weight();
                self.payload_bytes -= held.message.payload.len();
                left = left.saturating_sub(topic.as_str().len().max(1));
                purged.push(topic.clone());
            }
            !goes
        });
    }

    /// The topics that may match, in order, behind one: those that begin as the filter does. Each with what is kept, or nothing
    /// when it does not match or has expired.
    pub(super) fn behind<'a>(
        &'a self,
        filter: &'a TopicFilter,
        topic: Option<&TopicName>,
        now: Instant,
    ) -> impl Iterator<Item = (&'a TopicName, Option<&'a Held>)> {
        let (first, end) = filter.range();
        let from = match topic {
            Some(topic) => Bound::Excluded(topic.as_str()),
            None => Bound::Included(first),
        };
        let within = move |topic: &TopicName| end.as_ref().is_none_or(|end| topic.as_str() < end.as_str());
        let topics = self.topics.range::<str, _>((from, Bound::Unbounded)).take_while(move |(topic, _)| within(topic));
        topics.map(move |(topic, held)| {
            let is_wanted = filter.matches(topic) && !held.has_expired(now);
            (topic, is_wanted.then_some(held))
        })
    }
}

impl Held {
    fn weight(&self) -> usize {
        weight(&self.message, self.source.as_ref())
    }

    fn has_expired(&self, now: Instant) -> bool {
        self.message.expiry().is_some_and(|expiry| now.saturating_duration_since(self.arrived) >= expiry)
    }
}

/// Bytes that it keeps in memory. Who has published it is shared by all that is kept of him, and charged to each: what he clears leaves the
/// rest as it is.
fn weight(message: &Message, source: Option<&Arc<Source>>) -> usize {
    message.weight() + source.map_or(0, |source| source.weight())
}
