//! The embedded local bus: who subscribes to what, fan-out, retained messages, shared subscriptions.
//!
//! Fan-out is synchronous: when [`Bus::publish`] returns, the message is in the mailbox of every session that wants it, so an
//! ack can wait for that. rumqttd's router, the obvious alternative, takes a message into its log and says nothing more: it
//! cannot name the receivers, loses what a slow one has not read when a segment recycles, and scans every filter for a topic
//! that nobody wants (`docs/decisions/0002-local-bus.md`).

mod mailbox;
mod retained;
mod shared;
mod subscription;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

pub use mailbox::{Budget, Delivery, Mailbox, MailboxLimits};
use retained::Retained;
pub use retained::RetainedLimits;
use shared::Group;
pub use subscription::Subscription;
use subscription::{Entry, Merged};

use crate::control::counters::Counters;
use crate::message::Message;
use crate::topic::{SharedFilter, TopicFilter, Trie};

pub struct Bus {
    subscriptions: RwLock<Trie<Entry>>,
    retained: RwLock<Retained>,
    counters: Arc<Counters>,
}

// === impl Bus ===

impl Bus {
    pub fn new(limits: RetainedLimits, counters: Arc<Counters>) -> Self {
        Self { subscriptions: RwLock::default(), retained: RwLock::new(Retained::new(limits)), counters }
    }

    /// Puts the message into every mailbox that wants it, and keeps it when it is retained.
    ///
    /// `publisher` is the client it came from, for No Local (MQTT 5, section 3.8.3.1).
    pub fn publish(&self, message: &Message, publisher: &str, now: Instant) {
        if message.retain {
            let kept = self.retained.write().unwrap_or_else(PoisonError::into_inner).store(message, now);
            if !kept {
                self.counters.retained_refused.increment();
                tracing::warn!(topic = %message.topic, "not retained: broker.limits.max_retained_* is reached");
            }
        }
        let subscriptions = self.subscriptions.read().unwrap_or_else(PoisonError::into_inner);
        let mut wanted: Vec<&Subscription> = Vec::new();
        let mut chosen: Vec<Subscription> = Vec::new();
        subscriptions.visit(&message.topic, |entry| match entry {
            Entry::Own(subscription) if subscription.hears(publisher) => wanted.push(subscription),
            Entry::Own(_) => {}
            Entry::Group(group) => chosen.extend(group.choose()),
        });
        self.deliver_merged(message, wanted, now);
        for subscription in &chosen {
            self.put(&subscription.mailbox, Merged::of(subscription).delivery(message, now));
        }
    }

    /// Adds or replaces a subscription. Says whether it is new: retained messages may depend on it [MQTT-3.3.1-10].
    pub fn subscribe(&self, filter: &SharedFilter, subscription: Subscription) -> bool {
        let mut trie = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
        let entries = trie.values_mut(&filter.filter);
        match &filter.group {
            Some(group) => shared::join(entries, group, subscription),
            None => subscription::replace(entries, subscription),
        }
    }

    /// Says whether there was such a subscription.
    pub fn unsubscribe(&self, filter: &SharedFilter, mailbox: &Arc<Mailbox>) -> bool {
        let mut left = 0;
        let mut trie = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
        let gone = trie.retain(&filter.filter, |entry| match (entry, &filter.group) {
            (Entry::Own(own), None) => !Arc::ptr_eq(&own.mailbox, mailbox),
            (Entry::Group(group), Some(name)) if group.name() == &**name => {
                left += usize::from(group.leave(mailbox));
                !group.is_empty()
            }
            _ => true,
        });
        gone + left > 0
    }

    /// Puts the retained messages that match into the mailbox of a new subscription. `retain` stays set [MQTT-3.3.1-8].
    pub fn replay_retained(&self, filter: &TopicFilter, subscription: &Subscription, now: Instant) {
        let retained = self.retained.read().unwrap_or_else(PoisonError::into_inner);
        retained.visit(filter, now, |message, arrived| {
            let delivery = Merged::of(subscription).retained(message, arrived);
            if !subscription.mailbox.put_retained(delivery) {
                self.counters.subscriber_dropped.increment();
            }
        });
    }

    /// One copy for each client, whatever the number of its subscriptions that match.
    fn deliver_merged(&self, message: &Message, mut wanted: Vec<&Subscription>, now: Instant) {
        wanted.sort_by_key(|subscription| Arc::as_ptr(&subscription.mailbox));
        for same in wanted.chunk_by(|a, b| Arc::ptr_eq(&a.mailbox, &b.mailbox)) {
            let merged = same.iter().skip(1).fold(Merged::of(same[0]), |merged, next| merged.and(next));
            self.put(&same[0].mailbox, merged.delivery(message, now));
        }
    }

    fn put(&self, mailbox: &Mailbox, delivery: Delivery) {
        if !mailbox.put(delivery) {
            self.counters.subscriber_dropped.increment();
        }
    }
}

#[cfg(test)]
mod tests;
