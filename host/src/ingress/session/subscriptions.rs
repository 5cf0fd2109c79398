//! What one session subscribes to: SUBSCRIBE and UNSUBSCRIBE carried out on the bus.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::access::Permit;
use crate::base::clock;
use crate::base::ledger::Charge;
use crate::bus::{Bus, Mailbox, PendingDelivery, Replay, Replayed, Subscription};
use crate::ingress::stored::{StoredReplay, StoredSubscription};
use crate::message::QoS;
use crate::mqtt::{Reason, RetainHandling, Subscribe, SubscribeRequest, Unsubscribe};
use crate::spool::{Change, Key};
use crate::topic::SharedFilter;

/// Bytes of all filters of one session. A thousand filters of usual length; one filter alone may have 65,535.
const MAX_FILTER_BYTES: usize = 256 * 1024;

/// More retained messages are fetched for a device when fewer than this wait for it.
const ENOUGH_REPLAYS: usize = 512;

#[derive(Debug)]
pub struct Subscriptions {
    /// By the filter as the device wrote it.
    filters: HashMap<String, SharedFilter>,
    /// Retained messages that are to come, one for each filter at most.
    replays: VecDeque<Replay>,
    /// Of all filters, as they were written.
    bytes: usize,
    charge: Charge,
}

/// What a filter takes beside three copies of its text: here, in the bus, and in the tree that is searched.
const FILTER_COST: usize = 640;

/// What a SUBSCRIBE or UNSUBSCRIBE did.
#[derive(Debug, Default)]
pub struct Changed {
    /// One for each filter, in order.
    pub reasons: Vec<Reason>,
    /// To be written before it is acknowledged, when the session survives a restart.
    pub changes: Vec<Change>,
}

impl Subscriptions {
    /// `charge` is of the account of all clients.
    pub fn new(charge: Charge) -> Self {
        Self { filters: HashMap::new(), replays: VecDeque::new(), bytes: 0, charge }
    }

    /// Each filter once, however often it stands in the packet: the last one counts, as if they had come one after the other
    /// (MQTT 5, section 3.8.4). Retained messages come later: see [`Subscriptions::replay`].
    ///
    /// A filter that the rules deny is refused by itself. One that was granted before they changed stays: each message is asked for.
    pub fn subscribe(
        &mut self,
        bus: &Bus,
        mailbox: &Arc<Mailbox>,
        packet: &Subscribe,
        (max, permit): (usize, &mut Permit),
    ) -> Changed {
        let mut changed = Changed::default();
        let last: HashMap<&str, usize> =
            packet.requests.iter().enumerate().map(|(index, request)| (request.filter.as_str(), index)).collect();
        let mut asked: HashSet<&str> = HashSet::new();
        for (index, request) in packet.requests.iter().enumerate() {
            let filter = request.filter.as_str();
            if request.options.retain_handling == RetainHandling::SendAtSubscribe {
                asked.insert(filter);
            }
            let reason = match last.get(filter) {
                _ if is_denied(filter, permit) => Reason::NOT_AUTHORIZED,
                Some(last) if *last != index => self.answer(request, max),
                _ => {
                    self.add(bus, mailbox, request, packet.subscription_id, (max, asked.contains(filter)), &mut changed)
                }
            };
            changed.reasons.push(reason);
        }
        mailbox.set_subscriptions(self.filters.len());
        changed
    }

    pub fn wants_replay(&self, mailbox: &Mailbox) -> bool {
        !self.replays.is_empty() && mailbox.replays() < ENOUGH_REPLAYS
    }

    /// The next few retained messages, and how far that is, when it is to be written.
    pub fn replay(&mut self, bus: &Bus) -> (Vec<PendingDelivery>, Option<Change>) {
        let Some(replay) = self.replays.front_mut() else { return Default::default() };
        let Replayed { pending_deliveries, is_over } = bus.replay(replay, clock::now());
        let progress = progress(replay, !pending_deliveries.is_empty(), is_over);
        if is_over {
            self.replays.pop_front();
        }
        (pending_deliveries, progress)
    }

    pub fn unsubscribe(&mut self, bus: &Bus, mailbox: &Arc<Mailbox>, packet: &Unsubscribe) -> Changed {
        let mut changed = Changed::default();
        for text in &packet.filters {
            let reason = match self.remove(text) {
                Some(filter) if bus.unsubscribe(&filter, mailbox) => Reason::SUCCESS,
                _ if SharedFilter::parse(text).is_err() => Reason::TOPIC_FILTER_INVALID,
                _ => Reason::NO_SUBSCRIPTION_EXISTED,
            };
            if mailbox.generation().is_some() && reason == Reason::SUCCESS {
                changed.changes.push(Change::delete(key(mailbox, text)));
            }
            changed.reasons.push(reason);
        }
        mailbox.set_subscriptions(self.filters.len());
        changed
    }

    /// As it was before a restart. What was fetched of retained messages waits in the mailbox, the rest is replayed.
    pub fn restore(&mut self, bus: &Bus, mailbox: &Arc<Mailbox>, text: &str, stored: StoredSubscription) {
        let Ok(filter) = SharedFilter::parse(text) else { return };
        let StoredSubscription { options, id, replay } = stored;
        let subscription = Subscription { mailbox: mailbox.clone(), options, id };
        bus.subscribe(&filter, subscription.clone());
        if let (None, StoredReplay::Behind(topic)) = (&filter.group, replay) {
            self.replays.push_back(Replay::behind_topic(filter.filter.clone(), subscription, topic));
        }
        self.insert(text, filter);
        self.charge.restore(self.cost());
        mailbox.set_subscriptions(self.filters.len());
    }

    pub fn filters(&self) -> impl Iterator<Item = Arc<str>> {
        self.filters.keys().map(|filter| filter.as_str().into())
    }

    fn insert(&mut self, text: &str, filter: SharedFilter) {
        if self.filters.insert(text.to_owned(), filter).is_none() {
            self.bytes += text.len();
        }
    }

    fn remove(&mut self, text: &str) -> Option<SharedFilter> {
        let filter = self.filters.remove(text)?;
        self.bytes -= text.len();
        self.charge.restore(self.cost());
        self.forget_replay(&filter);
        Some(filter)
    }

    fn cost(&self) -> usize {
        3 * self.bytes + FILTER_COST * self.filters.len()
    }

    /// Whether there is room for one more filter, which is charged then.
    fn has_room_for(&mut self, filter: &str, max: usize) -> bool {
        let cost = self.cost() + 3 * filter.len() + FILTER_COST;
        self.filters.len() < max && self.bytes + filter.len() <= MAX_FILTER_BYTES && self.charge.resize(cost)
    }

    /// The session ends.
    pub fn clear(&mut self, bus: &Bus, mailbox: &Arc<Mailbox>) {
        self.replays.clear();
        self.bytes = 0;
        self.charge.restore(0);
        for (_, filter) in self.filters.drain() {
            bus.unsubscribe(&filter, mailbox);
        }
    }

    /// What is wrong with a request, or what it grants.
    fn answer(&mut self, request: &SubscribeRequest, max: usize) -> Reason {
        if SharedFilter::parse(&request.filter).is_err() {
            return Reason::TOPIC_FILTER_INVALID;
        }
        let new = !self.filters.contains_key(&request.filter);
        if new && !self.has_room_for(&request.filter, max) {
            return Reason::QUOTA_EXCEEDED;
        }
        match request.options.qos {
            QoS::AtMostOnce => Reason::SUCCESS,
            QoS::AtLeastOnce => Reason::GRANTED_QOS_1,
            QoS::ExactlyOnce => Reason::GRANTED_QOS_2,
        }
    }

    fn add(
        &mut self,
        bus: &Bus,
        mailbox: &Arc<Mailbox>,
        request: &SubscribeRequest,
        id: Option<u32>,
        (max, is_asked): (usize, bool),
        changed: &mut Changed,
    ) -> Reason {
        let reason = self.answer(request, max);
        let (Ok(filter), false) = (SharedFilter::parse(&request.filter), reason.is_failure()) else { return reason };
        let subscription = Subscription { mailbox: mailbox.clone(), options: request.options, id };
        let is_new = bus.subscribe(&filter, subscription.clone());
        let sends_if_new = request.options.retain_handling == RetainHandling::SendIfNew;
        // Never for a shared subscription (MQTT 5, section 4.8.2).
        let is_wanted = filter.group.is_none() && (is_asked || (sends_if_new && is_new));
        if is_wanted {
            self.forget_replay(&filter);
        }
        let replays = is_wanted && bus.may_replay(&filter.filter, clock::now());
        if mailbox.generation().is_some() {
            let replay = if replays { StoredReplay::Behind(None) } else { StoredReplay::Over };
            let value = StoredSubscription { options: request.options, id, replay }.encode();
            changed.changes.push(Change::put(key(mailbox, &request.filter), value));
        }
        if replays {
            self.replays.push_back(Replay::new(filter.filter.clone(), subscription));
        }
        self.insert(&request.filter, filter);
        reason
    }

    fn forget_replay(&mut self, filter: &SharedFilter) {
        if filter.group.is_none() {
            self.replays.retain(|replay| *replay.filter() != filter.filter);
        }
    }
}

fn is_denied(filter: &str, permit: &mut Permit) -> bool {
    SharedFilter::parse(filter).is_ok_and(|filter| !permit.may_subscribe(&filter.filter))
}

/// How far a replay is, to be written with the last of what it has fetched. That it is over is not written alone while something of it may wait
/// to be written: a small record passes by a full log. Then it stays behind its last topic, and a restart finds that there is no more.
fn progress(replay: &Replay, has_fetched: bool, is_over: bool) -> Option<Change> {
    let Subscription { mailbox, options, id } = replay.subscription();
    if mailbox.generation().is_none() || !(has_fetched || (is_over && !replay.has_written())) {
        return None;
    }
    let stands = if is_over { StoredReplay::Over } else { StoredReplay::Behind(replay.behind().cloned()) };
    let value = StoredSubscription { options: *options, id: *id, replay: stands }.encode();
    Some(Change::put(key(mailbox, replay.filter().as_str()), value))
}

fn key(mailbox: &Mailbox, filter: &str) -> Key {
    Key::Subscription { client: mailbox.client().clone(), filter: filter.into() }
}
