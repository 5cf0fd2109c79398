//! A subscription, and what several of one client make of one message.

use std::sync::Arc;
use std::time::Instant;

use super::{Delivery, Group, Mailbox};
use crate::message::{Message, QoS};
use crate::mqtt::SubscribeOptions;

#[derive(Clone, Debug)]
pub struct Subscription {
    pub mailbox: Arc<Mailbox>,
    pub options: SubscribeOptions,
    /// Subscription Identifier (MQTT 5, section 3.8.2.1.2).
    pub id: Option<u32>,
}

/// What stands in the trie under a filter.
#[derive(Debug)]
pub(super) enum Entry {
    Own(Subscription),
    Group(Group),
}

/// The subscriptions of one client that match one message, as one: the highest QoS [MQTT-3.3.4-2], every identifier
/// [MQTT-3.3.4-4].
pub(super) struct Merged {
    qos: QoS,
    retain_as_published: bool,
    ids: Vec<u32>,
}

// === impl Subscription ===

impl Subscription {
    /// No Local: a client does not hear itself [MQTT-3.8.3-3].
    pub(super) fn hears(&self, publisher: &str) -> bool {
        !(self.options.no_local && **self.mailbox.client() == *publisher)
    }
}

/// A client has one subscription for one filter: a second one replaces the first [MQTT-3.8.4-3]. Says whether it is new.
pub(super) fn replace(entries: &mut Vec<Entry>, subscription: Subscription) -> bool {
    for entry in entries.iter_mut() {
        if let Entry::Own(own) = entry
            && Arc::ptr_eq(&own.mailbox, &subscription.mailbox)
        {
            *own = subscription;
            return false;
        }
    }
    entries.push(Entry::Own(subscription));
    true
}

// === impl Merged ===

impl Merged {
    pub(super) fn of(subscription: &Subscription) -> Self {
        Self {
            qos: subscription.options.qos,
            retain_as_published: subscription.options.retain_as_published,
            ids: subscription.id.into_iter().collect(),
        }
    }

    pub(super) fn and(mut self, other: &Subscription) -> Self {
        self.qos = self.qos.max(other.options.qos);
        self.retain_as_published |= other.options.retain_as_published;
        self.ids.extend(other.id);
        self
    }

    /// A live message: min(published, subscribed) QoS, and no retain flag unless asked for [MQTT-3.3.1-12, MQTT-3.3.1-13].
    pub(super) fn delivery(self, message: &Message, now: Instant) -> Delivery {
        let retain = message.retain && self.retain_as_published;
        self.with_retain(message, retain, now)
    }

    /// A retained message for a new subscription.
    pub(super) fn retained(self, message: &Message, arrived: Instant) -> Delivery {
        Delivery { is_replay: true, ..self.with_retain(message, true, arrived) }
    }

    fn with_retain(self, message: &Message, retain: bool, arrived: Instant) -> Delivery {
        let message = Message { qos: message.qos.min(self.qos), retain, ..message.clone() };
        let (number, share, from_group, is_replay) = (None, None, None, false);
        Delivery { message, subscription_ids: self.ids, arrived, number, share, from_group, is_replay }
    }
}
