//! What one session subscribes to: SUBSCRIBE and UNSUBSCRIBE carried out on the bus.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::bus::{Bus, Mailbox, Subscription};
use crate::ingress::codec::{Reason, RetainHandling, Subscribe, SubscribeRequest, Unsubscribe};
use crate::message::QoS;
use crate::topic::SharedFilter;

/// Bytes of all filters of one session. A thousand filters of usual length; one filter alone may have 65,535.
const MAX_FILTER_BYTES: usize = 256 * 1024;

/// By the filter as the device wrote it.
#[derive(Debug, Default)]
pub struct Subscriptions(HashMap<String, SharedFilter>);

impl Subscriptions {
    /// One reason for each filter, in order. Retained messages go to the mailbox before the SUBACK is written, which the
    /// specification allows [MQTT-3.8.4-1].
    pub fn subscribe(&mut self, bus: &Bus, mailbox: &Arc<Mailbox>, packet: &Subscribe, max: usize) -> Vec<Reason> {
        let id = packet.subscription_id;
        packet.requests.iter().map(|request| self.add(bus, mailbox, request, id, max)).collect()
    }

    pub fn unsubscribe(&mut self, bus: &Bus, mailbox: &Arc<Mailbox>, packet: &Unsubscribe) -> Vec<Reason> {
        let remove = |text: &String| match self.0.remove(text) {
            Some(filter) if bus.unsubscribe(&filter, mailbox) => Reason::SUCCESS,
            _ if SharedFilter::parse(text).is_err() => Reason::TOPIC_FILTER_INVALID,
            _ => Reason::NO_SUBSCRIPTION_EXISTED,
        };
        packet.filters.iter().map(remove).collect()
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
            bus.replay_retained(&filter.filter, &subscription, Instant::now());
        }
        self.0.insert(request.filter.clone(), filter);
        match request.options.qos {
            QoS::AtMostOnce => Reason::SUCCESS,
            QoS::AtLeastOnce => Reason::GRANTED_QOS_1,
            QoS::ExactlyOnce => Reason::GRANTED_QOS_2,
        }
    }
}
