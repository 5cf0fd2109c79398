//! The embedded local bus: who subscribes to what, fan-out, retained messages, shared subscriptions.
//!
//! Fan-out is synchronous: when [`Bus::publish`] returns, the message is in the mailbox of every session that wants it, so an
//! ack can wait for that. rumqttd's router, the obvious alternative, takes a message into its log and says nothing more: it
//! cannot name the receivers, loses what a slow one has not read when a segment recycles, and scans every filter for a topic
//! that nobody wants (`docs/decisions/0002-local-bus.md`).
//!
//! What must survive a restart comes back from [`Bus::publish`] as [`Kept`]: it belongs into the record of the message that
//! caused it, and [`Journal`] puts it there. A message without retain flag whose subscribers all have sessions that end with
//! their connections keeps nothing and writes nothing.

mod budget;
mod census;
mod hand_over;
mod journal;
mod mailbox;
mod pending_delivery;
mod queues;
mod replay;
mod retained;
mod shared;
pub mod stored;
mod subscription;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

pub use budget::Share;
pub use census::BusCensus;
use census::Subscribed;
pub use journal::Journal;
use mailbox::Put;
pub use mailbox::{Delivery, Generation, Holding, LeftOver, Mailbox, MailboxLimits};
pub use pending_delivery::PendingDelivery;
pub use queues::Queues;
pub use replay::{Replay, Replayed};
pub use retained::RetainedLimits;
use retained::{Held, Retained, Stored};
pub use shared::FromGroup;
use shared::Group;
pub use subscription::Subscription;
use subscription::{Entry, Merged};

use crate::access::Source;
use crate::base::clock;
use crate::base::fault::{self, Fault};
use crate::base::rate_limit::RateLimit;
use crate::message::{Message, Origin};
use crate::metrics::Counters;
use crate::spool::wire::WireError;
use crate::spool::{Change, Key, Value};
use crate::topic::{SharedFilter, TopicName, Trie};

pub struct Bus {
    subscriptions: RwLock<Trie<Entry>>,
    retained: RwLock<Retained>,
    subscribed: Subscribed,
    counters: Arc<Counters>,
    warnings: RateLimit,
}

/// Who a message comes from.
#[derive(Clone, Copy)]
pub struct Publisher<'a> {
    /// For No Local (MQTT 5, section 3.8.3.1).
    client: &'a str,
    /// For the access rules, when it is retained.
    source: Option<&'a Arc<Source>>,
}

/// What a message leaves that a restart must find.
#[derive(Debug, Default)]
pub struct Kept {
    pub changes: Vec<Change>,
    pub pending_deliveries: Vec<PendingDelivery>,
}

impl Kept {
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.pending_deliveries.is_empty()
    }
}

/// What became of a message for a group.
enum Shared {
    Given,
    /// Given, and to be written down first.
    Waiting(PendingDelivery),
    /// No member is left that could take it, or all that could are full.
    Nobody {
        is_full: bool,
    },
}

// === impl Publisher ===

impl<'a> From<&'a Origin> for Publisher<'a> {
    fn from(origin: &'a Origin) -> Self {
        Self { client: &origin.client, source: origin.source.as_ref() }
    }
}

/// A client of whom nothing is asked.
impl<'a> From<&'a str> for Publisher<'a> {
    fn from(client: &'a str) -> Self {
        Self { client, source: None }
    }
}

// === impl Bus ===

impl Bus {
    pub fn new(limits: RetainedLimits, counters: Arc<Counters>) -> Self {
        let retained = RwLock::new(Retained::new(limits));
        let (subscriptions, subscribed) = (RwLock::default(), Subscribed::default());
        Self { subscriptions, retained, subscribed, counters, warnings: RateLimit::per_second(1) }
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Puts the message into every mailbox that wants it, and keeps it when it is retained. Mailboxes of sessions that survive a
    /// restart get it when what comes back is safe.
    pub fn publish<'a>(&self, message: &Message, publisher: impl Into<Publisher<'a>>, now: Instant) -> Kept {
        let Publisher { client, source } = publisher.into();
        let changes = if message.retain { self.retain(message, source, now) } else { Vec::new() };
        Kept { changes, ..self.deliver(message, client, now) }
    }

    /// What the gateway says of itself: retained as long as it runs, and never written.
    pub fn announce(&self, message: &Message, now: Instant) -> Kept {
        self.retained.write().unwrap_or_else(PoisonError::into_inner).keep_own(message, now);
        self.deliver(message, "", now)
    }

    fn deliver(&self, message: &Message, publisher: &str, now: Instant) -> Kept {
        let mut kept = Kept::default();
        let subscriptions = self.subscriptions.read().unwrap_or_else(PoisonError::into_inner);
        let mut wanted: Vec<&Subscription> = Vec::new();
        let mut groups: Vec<&Group> = Vec::new();
        subscriptions.visit(&message.topic, |entry| match entry {
            Entry::Own(subscription) if subscription.hears(publisher) => wanted.push(subscription),
            Entry::Own(_) => {}
            Entry::Group(group) => groups.push(group),
        });
        kept.pending_deliveries.extend(self.deliver_merged(message, wanted, now));
        for group in groups {
            match self.share(group, message, now) {
                Shared::Waiting(pending_delivery) => kept.pending_deliveries.push(pending_delivery),
                Shared::Nobody { is_full: true } => self.counters.subscriber_dropped.increment(),
                Shared::Given | Shared::Nobody { is_full: false } => {}
            }
        }
        kept
    }

    /// Bytes of the retained messages.
    pub fn retained_bytes(&self) -> usize {
        self.retained().bytes()
    }

    /// The retained message of a topic as it was before a restart: kept, whatever the limits are now. Says whether it is beyond
    /// them; `None` when it expired meanwhile.
    pub fn restore_retained(&self, value: &Value) -> Result<Option<bool>, WireError> {
        let restored = stored::decode_retained(value)?;
        let mut retained = self.retained.write().unwrap_or_else(PoisonError::into_inner);
        Ok(restored.map(|(message, source)| retained.restore(&message, source, clock::now())))
    }

    /// Adds or replaces a subscription. Says whether it is new: retained messages may depend on it [MQTT-3.3.1-10].
    pub fn subscribe(&self, filter: &SharedFilter, subscription: Subscription) -> bool {
        let mut trie = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
        let entries = trie.values_mut(&filter.filter);
        let is_new = match &filter.group {
            Some(group) => shared::join(entries, group, filter, subscription),
            None => subscription::replace(entries, subscription),
        };
        self.subscribed.add(filter, usize::from(is_new));
        is_new
    }

    /// Says whether there was such a subscription.
    pub fn unsubscribe(&self, filter: &SharedFilter, mailbox: &Arc<Mailbox>) -> bool {
        let (mut left, mut own) = (0, 0);
        let mut trie = self.subscriptions.write().unwrap_or_else(PoisonError::into_inner);
        trie.retain(&filter.filter, |entry| match (entry, &filter.group) {
            (Entry::Own(subscription), None) if Arc::ptr_eq(&subscription.mailbox, mailbox) => {
                own += 1;
                false
            }
            (Entry::Group(group), Some(name)) if group.name() == &**name => {
                left += usize::from(group.leave(mailbox));
                !group.is_empty()
            }
            _ => true,
        });
        self.subscribed.remove(filter, own + left);
        own + left > 0
    }

    /// What is to be written of retained messages by a record that others may have overtaken: as it is now, so that the last record of a
    /// topic has its last message.
    pub fn refresh(&self, changes: &mut [Change]) {
        let retained = self.retained();
        for change in changes {
            if let Key::Retained { topic } = &change.key {
                let last = retained.get(topic);
                let encode = |held: &Held| stored::encode_retained(&held.message, held.arrived, held.source.as_deref());
                change.value = last.map(encode);
            }
        }
    }

    fn retained(&self) -> RwLockReadGuard<'_, Retained> {
        self.retained.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn retain(&self, message: &Message, source: Option<&Arc<Source>>, now: Instant) -> Vec<Change> {
        let mut purged = Vec::new();
        // The value shares the payload of the message: in memory once.
        let encode = || stored::encode_retained(message, now, source.map(|source| &**source));
        let value = (!message.payload.is_empty()).then(encode);
        let stored = self.store(message, source, now, &mut purged);
        let mut changes: Vec<_> = purged.into_iter().map(|topic| Change::delete(Key::Retained { topic })).collect();
        let key = Key::Retained { topic: message.topic.clone() };
        changes.extend(match stored {
            Stored::Kept => value.map(|value| Change::put(key, value)),
            Stored::Forgotten { .. } if fault::is_on(Fault::ClearsNotWritten) => None,
            Stored::Forgotten { held } | Stored::Refused { held } => held.then(|| Change::delete(key)),
        });
        changes
    }

    fn store(
        &self,
        message: &Message,
        source: Option<&Arc<Source>>,
        now: Instant,
        purged: &mut Vec<TopicName>,
    ) -> Stored {
        let stored = self.retained.write().unwrap_or_else(PoisonError::into_inner).store(message, source, now, purged);
        if let Stored::Refused { .. } = stored {
            self.counters.retained_refused.increment();
            if let Some(suppressed) = self.warnings.permit() {
                tracing::warn!(topic = ?message.topic, suppressed, "not retained: broker.limits.max_retained_* is reached");
            }
        }
        stored
    }

    /// One copy for each client, whatever the number of its subscriptions that match.
    fn deliver_merged(&self, message: &Message, mut wanted: Vec<&Subscription>, now: Instant) -> Vec<PendingDelivery> {
        wanted.sort_by_key(|subscription| subscription.mailbox.serial);
        let of_one = |same: &[&Subscription]| {
            let (first, others) = same.split_first()?;
            let merged = others.iter().fold(Merged::of(first), |merged, next| merged.and(next));
            self.put(&first.mailbox, merged.delivery(message, now))
        };
        wanted.chunk_by(|a, b| Arc::ptr_eq(&a.mailbox, &b.mailbox)).filter_map(of_one).collect()
    }

    /// To the member whose turn it is; to the next when that one has no room.
    fn share(&self, group: &Group, message: &Message, arrived: Instant) -> Shared {
        let (mut failed, mut is_full) = (Vec::new(), false);
        while let Some(member) = group.choose(message, &failed) {
            let from_group = Some(group.delivery_of(message));
            let delivery = Delivery { from_group, ..Merged::of(&member).delivery(message, arrived) };
            match member.mailbox.put(delivery) {
                Put::Done => return Shared::Given,
                Put::ToStore(pending_delivery) => return Shared::Waiting(pending_delivery),
                put => {
                    is_full |= matches!(put, Put::Full);
                    failed.push(member.mailbox);
                }
            }
        }
        Shared::Nobody { is_full }
    }

    fn put(&self, mailbox: &Arc<Mailbox>, delivery: Delivery) -> Option<PendingDelivery> {
        self.pending_delivery(mailbox.put(delivery))
    }

    fn pending_delivery(&self, put: Put) -> Option<PendingDelivery> {
        match put {
            Put::Done | Put::Closed => None,
            Put::ToStore(pending_delivery) => Some(pending_delivery),
            Put::Denied => {
                self.counters.subscriber_denied.increment();
                None
            }
            Put::Full => {
                self.counters.subscriber_dropped.increment();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
