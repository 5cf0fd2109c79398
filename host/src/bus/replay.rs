//! Retained messages for a new subscription (MQTT 5, section 3.3.1.3), a few at a time.
//!
//! One SUBSCRIBE may ask for all of them a thousand times over. So it only notes what it asks for, and the connection fetches the next
//! few when the device has taken those before: nothing is copied in advance, and everybody else has their turn between.
//!
//! What is fetched goes behind all that waits in the mailbox. So it overtakes nothing: a message that waits there for the same topic
//! is older than what the store has now, or the same.
//!
//! A replay ends with its session. In one that survives a restart, how far it has come is written with what it fetches
//! ([`Replayed::is_over`], [`Replay::behind`]), so that it goes on after a crash: what was fetched in its last turn comes twice then, and nothing
//! is missing.

use std::time::Instant;

use super::subscription::Merged;
use super::{Bus, PendingDelivery, Subscription};
use crate::topic::{TopicFilter, TopicName};

/// Topics that are looked at in one turn, which takes some 100 us, and messages that are fetched in it.
const LOOKED_AT: usize = 1_024;
pub(super) const FETCHED: usize = 256;

/// Topics that are looked at to tell whether there is anything to be replayed.
const GLANCE: usize = 16;

/// What is left to be replayed for one subscription.
#[derive(Debug)]
pub struct Replay {
    filter: TopicFilter,
    subscription: Subscription,
    /// The last topic that was looked at.
    behind: Option<TopicName>,
    /// Something of it was to be written down.
    has_written: bool,
}

/// One turn of a replay.
#[derive(Debug, Default)]
pub struct Replayed {
    /// To be written down before they are delivered.
    pub pending_deliveries: Vec<PendingDelivery>,
    pub is_over: bool,
}

impl Replay {
    pub fn new(filter: TopicFilter, subscription: Subscription) -> Self {
        Self::behind_topic(filter, subscription, None)
    }

    /// The rest of one.
    pub fn behind_topic(filter: TopicFilter, subscription: Subscription, behind: Option<TopicName>) -> Self {
        Self { filter, subscription, behind, has_written: false }
    }

    pub fn subscription(&self) -> &Subscription {
        &self.subscription
    }

    /// The last topic that was looked at.
    pub fn behind(&self) -> Option<&TopicName> {
        self.behind.as_ref()
    }

    /// Whether something of it may still wait to be written.
    pub fn has_written(&self) -> bool {
        self.has_written
    }

    pub fn filter(&self) -> &TopicFilter {
        &self.filter
    }
}

impl Bus {
    /// Whether there may be something to replay: a short look, because one SUBSCRIBE may ask for very many filters.
    pub fn may_replay(&self, filter: &TopicFilter, now: Instant) -> bool {
        let retained = self.retained();
        let mut looked_at = 0;
        let mut topics = retained.behind(filter, None, now).take(GLANCE).inspect(|_| looked_at += 1);
        let is_found = topics.any(|(_, found)| found.is_some());
        is_found || looked_at == GLANCE
    }

    /// The next few, into the mailbox. RETAIN stays set [MQTT-3.3.1-8].
    pub fn replay(&self, replay: &mut Replay, now: Instant) -> Replayed {
        let retained = self.retained();
        let (mut behind, mut fetched, mut pending_deliveries) = (None, 0, Vec::new());
        let mut topics = retained.behind(&replay.filter, replay.behind.as_ref(), now).take(LOOKED_AT);
        let mut looked_at = 0;
        for (topic, found) in topics.by_ref() {
            looked_at += 1;
            behind = Some(topic);
            let Some(held) = found else { continue };
            if !replay.subscription.mailbox.may_receive_retained(topic, held.source.as_deref()) {
                self.counters.subscriber_denied.increment();
                continue;
            }
            let delivery = Merged::of(&replay.subscription).retained(&held.message, held.arrived);
            pending_deliveries.extend(self.pending_delivery(replay.subscription.mailbox.put_retained(delivery)));
            fetched += 1;
            if fetched == FETCHED {
                break;
            }
        }
        let is_over = looked_at < LOOKED_AT && fetched < FETCHED;
        let behind = behind.cloned();
        drop(topics);
        replay.behind = behind.or(replay.behind.take());
        replay.has_written |= !pending_deliveries.is_empty();
        Replayed { pending_deliveries, is_over }
    }
}
