//! What one session subscribes to: SUBSCRIBE and UNSUBSCRIBE carried out on the bus.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::clock;
use crate::bus::{Bus, Mailbox, PendingDelivery, Subscription};
use crate::ingress::stored::StoredSubscription;
use crate::message::QoS;
use crate::mqtt::{Reason, RetainHandling, Subscribe, SubscribeRequest, Unsubscribe};
use crate::spool::{Change, Key};
use crate::topic::SharedFilter;

/// Bytes of all filters of one session. A thousand filters of usual length; one filter alone may have 65,535.
const MAX_FILTER_BYTES: usize = 256 * 1024;

/// By the filter as the device wrote it.
#[derive(Debug, Default)]
pub struct Subscriptions(HashMap<String, SharedFilter>);

/// What a SUBSCRIBE or UNSUBSCRIBE did.
#[derive(Debug, Default)]
pub struct Changed {
    /// One for each filter, in order.
    pub reasons: Vec<Reason>,
    /// To be written before it is acknowledged, when the session survives a restart.
    pub changes: Vec<Change>,
    /// Retained messages that are to be written before they are delivered.
    pub pending_deliveries: Vec<PendingDelivery>,
}

impl Subscriptions {
    /// Retained messages go to the mailbox before the SUBACK is written, which the specification allows [MQTT-3.8.4-1].
    pub fn subscribe(&mut self, bus: &Bus, mailbox: &Arc<Mailbox>, packet: &Subscribe, max: usize) -> Changed {
        let mut changed = Changed::default();
        for request in &packet.requests {
            let reason = self.add(bus, mailbox, request, packet.subscription_id, max, &mut changed);
            changed.reasons.push(reason);
        }
        mailbox.set_subscriptions(self.0.len());
        changed
    }

    pub fn unsubscribe(&mut self, bus: &Bus, mailbox: &Arc<Mailbox>, packet: &Unsubscribe) -> Changed {
        let mut changed = Changed::default();
        for text in &packet.filters {
            let reason = match self.0.remove(text) {
                Some(filter) if bus.unsubscribe(&filter, mailbox) => Reason::SUCCESS,
                _ if SharedFilter::parse(text).is_err() => Reason::TOPIC_FILTER_INVALID,
                _ => Reason::NO_SUBSCRIPTION_EXISTED,
            };
            if mailbox.generation().is_some() && reason == Reason::SUCCESS {
                changed.changes.push(Change::delete(key(mailbox, text)));
            }
            changed.reasons.push(reason);
        }
        mailbox.set_subscriptions(self.0.len());
        changed
    }

    /// As it was before a restart. Nothing is replayed: what was due then waits in the mailbox.
    pub fn restore(&mut self, bus: &Bus, mailbox: &Arc<Mailbox>, text: &str, stored: StoredSubscription) {
        let Ok(filter) = SharedFilter::parse(text) else { return };
        let StoredSubscription { options, id } = stored;
        bus.subscribe(&filter, Subscription { mailbox: mailbox.clone(), options, id });
        self.0.insert(text.to_owned(), filter);
        mailbox.set_subscriptions(self.0.len());
    }

    pub fn filters(&self) -> impl Iterator<Item = Arc<str>> {
        self.0.keys().map(|filter| filter.as_str().into())
    }

    fn bytes(&self) -> usize {
        self.0.keys().map(String::len).sum()
    }

    /// The session ends.
    pub fn clear(&mut self, bus: &Bus, mailbox: &Arc<Mailbox>) {
        for (_, filter) in self.0.drain() {
            bus.unsubscribe(&filter, mailbox);
        }
    }

    fn add(
        &mut self,
        bus: &Bus,
        mailbox: &Arc<Mailbox>,
        request: &SubscribeRequest,
        id: Option<u32>,
        max: usize,
        changed: &mut Changed,
    ) -> Reason {
        let Ok(filter) = SharedFilter::parse(&request.filter) else { return Reason::TOPIC_FILTER_INVALID };
        let new = !self.0.contains_key(&request.filter);
        if new && (self.0.len() >= max || self.bytes() + request.filter.len() > MAX_FILTER_BYTES) {
            return Reason::QUOTA_EXCEEDED;
        }
        let subscription = Subscription { mailbox: mailbox.clone(), options: request.options, id };
        let is_new = bus.subscribe(&filter, subscription.clone());
        let replay = match request.options.retain_handling {
            // Never for a shared subscription (MQTT 5, section 4.8.2).
            _ if filter.group.is_some() => false,
            RetainHandling::SendAtSubscribe => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        if replay {
            changed.pending_deliveries.extend(bus.replay_retained(&filter.filter, &subscription, clock::now()));
        }
        if mailbox.generation().is_some() {
            let value = StoredSubscription { options: request.options, id }.encode();
            changed.changes.push(Change::put(key(mailbox, &request.filter), value));
        }
        self.0.insert(request.filter.clone(), filter);
        match request.options.qos {
            QoS::AtMostOnce => Reason::SUCCESS,
            QoS::AtLeastOnce => Reason::GRANTED_QOS_1,
            QoS::ExactlyOnce => Reason::GRANTED_QOS_2,
        }
    }
}

fn key(mailbox: &Mailbox, filter: &str) -> Key {
    Key::Subscription { client: mailbox.client().clone(), filter: filter.into() }
}
