//! What a member of a group did not get before its session ended goes to another member (MQTT 5, section 4.8.2).
//!
//! QoS 1 and whatever has never been sent. A QoS 2 message that was sent must not go to anybody else [MQTT-4.8.2-5]: the member
//! may have it.
//!
//! One record for each message: it takes the message from the one and gives it to the other, so that a crash finds it with one
//! of them. Each also writes the session that ends: a full spool lets small records pass large ones, but never one that changes
//! the same key, and the end of the session must not be written before the last of its messages has gone.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::subscription::Entry;
use super::{Bus, Delivery, Journal, PendingDelivery, Shared};
use crate::base::clock;
use crate::message::Message;
use crate::metrics::Counter;
use crate::spool::{Change, Key, Record};

impl Bus {
    /// To another member of its group; counted, whatever becomes of it.
    pub(super) fn pass_on(&self, delivery: &Delivery, now: Instant) -> Option<PendingDelivery> {
        let (pending_delivery, counter) = self.another_member(delivery, now);
        counter.increment();
        pending_delivery
    }

    fn another_member(&self, delivery: &Delivery, now: Instant) -> (Option<PendingDelivery>, &Counter) {
        let Some(from) = &delivery.from_group else { return (None, &self.counters.shared_dropped) };
        if delivery.message.aged(now.saturating_duration_since(delivery.arrived)).is_none() {
            return (None, &self.counters.subscriber_expired);
        }
        let message = Message { qos: from.qos, retain: from.retain, ..delivery.message.clone() };
        match self.share_among(&from.subscription, &message, delivery.arrived) {
            Shared::Given => (None, &self.counters.shared_handed_over),
            Shared::Waiting(pending_delivery) => (Some(pending_delivery), &self.counters.shared_handed_over),
            Shared::Nobody { .. } => (None, &self.counters.shared_dropped),
        }
    }

    /// Among the members of the group with this `$share/{name}/{filter}`.
    fn share_among(&self, subscription: &str, message: &Message, arrived: Instant) -> Shared {
        let subscriptions = self.subscriptions.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        subscriptions.visit(&message.topic, |entry| match entry {
            Entry::Group(group) if group.subscription() == subscription => found = Some(group),
            _ => {}
        });
        found.map_or(Shared::Nobody { is_full: false }, |group| self.share(group, message, arrived))
    }
}

impl Journal {
    /// A delivery that its member may not have any more, while the session goes on.
    pub fn reassign(&self, delivery: &Delivery, client: &Arc<str>) {
        let pending_deliveries: Vec<PendingDelivery> = self.bus().pass_on(delivery, clock::now()).into_iter().collect();
        let taken = delivery.number.map(|number| Change::delete(Key::Queued { client: client.clone(), number }));
        let record = Record { changes: taken.into_iter().collect(), ..Record::default() };
        if !(record.changes.is_empty() && pending_deliveries.is_empty()) {
            self.commit(record, pending_deliveries);
        }
    }

    /// The deliveries of a session that ends, each to another member of its group. `ending` is the session, marked as ended.
    /// The session must have left its groups.
    pub fn hand_over(&self, deliveries: Vec<Delivery>, client: &Arc<str>, ending: Option<&Change>) {
        for delivery in deliveries {
            let pending_deliveries: Vec<PendingDelivery> =
                self.bus().pass_on(&delivery, clock::now()).into_iter().collect();
            let mut record = Record::default();
            if let (Some(number), Some(ending)) = (delivery.number, ending) {
                let taken = Change::delete(Key::Queued { client: client.clone(), number });
                record.changes.extend([ending.clone(), taken]);
            }
            if !(record.changes.is_empty() && pending_deliveries.is_empty()) {
                self.commit(record, pending_deliveries);
            }
        }
    }
}
