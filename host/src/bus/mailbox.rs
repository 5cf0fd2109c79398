//! What waits for one session: bounded, and alive while the session is, connected or not.
//!
//! A delivery to a session that survives a restart takes its place here first and comes in later, when it is safe: see
//! [`PendingDelivery`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::budget::{Budget, Share, Shortage};
use super::{FromGroup, PendingDelivery, Queues};
use crate::access::{Permit, Source};
use crate::base::ledger::Ledger;
use crate::message::{Message, QoS};
use crate::topic::TopicName;

/// What a retained message costs while it waits: its payload is shared with the store, its bookkeeping is not.
const RETAINED_COST: usize = 256;

#[derive(Debug)]
pub struct Delivery {
    pub message: Message,
    pub subscription_ids: Vec<u32>,
    /// For the expiry interval, which shrinks while the message waits [MQTT-3.3.2-6].
    pub arrived: Instant,
    /// Its number in the durable state, which rises within a session. `None` when it is kept in memory only.
    pub number: Option<u64>,
    /// Its place in the budgets, from the mailbox on.
    pub share: Option<Share>,
    pub from_group: Option<FromGroup>,
    /// A retained message for a new subscription: it may have been here before. Not remembered over a restart.
    pub is_replay: bool,
}

/// What a session that ends leaves in its mailbox.
#[derive(Debug, Default)]
pub struct LeftOver {
    /// Of what was for this client alone.
    pub numbers: Vec<u64>,
    /// In order, without places in the budgets.
    pub from_groups: Vec<Delivery>,
}

#[derive(Clone, Copy, Debug)]
pub struct MailboxLimits {
    pub max_messages: usize,
    pub max_bytes: usize,
    /// Retained messages waiting for one client. Separate, because one SUBSCRIBE may ask for all of them at once and a
    /// full queue of live messages must not cut them short.
    pub max_retained: usize,
}

/// Which session a number belongs to: its upper half. A client that starts anew has a new one, so that nothing which was
/// written for its last session is ever taken for the present one's. One that goes on for more than 2^32 deliveries goes on with the numbers of
/// the next one, which is then nobody else's: what is not lower than that of its client's session belongs to it.
pub type Generation = u32;

#[derive(Debug)]
pub struct Mailbox {
    client: Arc<str>,
    /// Of a session that survives a restart.
    durable: Option<Generation>,
    limits: MailboxLimits,
    own_budget: Arc<Budget>,
    queues: Arc<Queues>,
    waiting: Mutex<Waiting>,
    ready: Notify,
    /// Subscriptions of the session, for who looks at it.
    subscriptions: AtomicUsize,
    /// Rises from one to the next: an order that is the same in each run.
    pub(super) serial: u64,
}

/// What a mailbox holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Waiting, and not sent yet.
    pub messages: usize,
    /// With what is sent and not acknowledged.
    pub bytes: usize,
}

/// Each is counted for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Live,
    Retained,
}

/// What became of a delivery.
#[derive(Debug)]
pub(super) enum Put {
    Done,
    /// It has its place, and is to be written down first.
    ToStore(PendingDelivery),
    /// No room: the message is dropped for this subscriber and nobody else.
    Full,
    /// The session has ended.
    Closed,
    /// By the access rules.
    Denied,
}

#[derive(Debug, Default)]
struct Waiting {
    /// In one order, so that a retained message for a new subscription overtakes nothing that waits on its topic.
    deliveries: VecDeque<Delivery>,
    live: Count,
    retained: Count,
    attached: bool,
    /// Of the client whose session this is.
    permit: Permit,
    next_number: u64,
    /// Given out, and not safe yet; with a copy of what is for a group.
    unfilled: BTreeMap<u64, Option<Delivery>>,
    closed: bool,
    /// Numbers of what was dropped to make room, to be deleted from the log.
    shed: Vec<u64>,
}

/// Of one kind.
#[derive(Debug, Default)]
struct Count {
    waiting: usize,
    /// Taken by what is not safe yet.
    places: usize,
}

// === impl Delivery ===

impl Delivery {
    /// Bytes that it keeps in memory.
    fn weight(&self) -> usize {
        self.message.weight() + self.identifiers()
    }

    fn identifiers(&self) -> usize {
        self.subscription_ids.len() * size_of::<u32>()
    }

    fn kind(&self) -> Kind {
        if self.is_replay { Kind::Retained } else { Kind::Live }
    }

    /// Without its place in the budgets.
    fn copy(&self) -> Self {
        let Self { message, subscription_ids, from_group, .. } = self;
        let (message, subscription_ids) = (message.clone(), subscription_ids.clone());
        Self { message, subscription_ids, from_group: from_group.clone(), share: None, ..*self }
    }
}

// === impl LeftOver ===

impl LeftOver {
    pub fn add(&mut self, delivery: Delivery) {
        match delivery.from_group {
            Some(_) => self.from_groups.push(Delivery { share: None, ..delivery }),
            None => self.numbers.extend(delivery.number),
        }
    }
}

// === impl Mailbox ===

impl Mailbox {
    /// `queues` is shared by all mailboxes.
    pub fn new(client: Arc<str>, limits: MailboxLimits, queues: Arc<Queues>) -> Arc<Self> {
        Self::with(client, limits, queues, None)
    }

    /// For a session that survives a restart.
    pub fn durable(client: Arc<str>, limits: MailboxLimits, queues: Arc<Queues>, generation: Generation) -> Arc<Self> {
        Self::with(client, limits, queues, Some(generation))
    }

    fn with(client: Arc<str>, limits: MailboxLimits, queues: Arc<Queues>, durable: Option<Generation>) -> Arc<Self> {
        let next_number = durable.map_or(0, |generation| u64::from(generation) << 32);
        let waiting = Mutex::new(Waiting { next_number, ..Waiting::default() });
        let (own_budget, ready, subscriptions) = (Budget::new(limits.max_bytes), Notify::new(), AtomicUsize::new(0));
        let serial = queues.new_serial();
        let mailbox = Self { client, durable, limits, own_budget, queues, waiting, ready, subscriptions, serial };
        let mailbox = Arc::new(mailbox);
        mailbox.queues.register(&mailbox);
        mailbox
    }

    pub fn ledger(&self) -> &Arc<Ledger> {
        self.queues.ledger()
    }

    pub fn client(&self) -> &Arc<str> {
        &self.client
    }

    /// `None` when the session does not survive a restart.
    pub fn generation(&self) -> Option<Generation> {
        self.durable
    }

    /// Whether a connection reads this mailbox now.
    pub fn is_attached(&self) -> bool {
        self.lock().attached
    }

    /// Of the client that has come, or whose session was found after a restart.
    pub fn set_permit(&self, permit: Permit) {
        self.lock().permit = permit;
    }

    /// Whether its client may receive what is published there.
    pub(super) fn may_receive(&self, topic: &TopicName) -> bool {
        self.lock().permit.may_receive(topic)
    }

    /// The same of what is kept there, which is of this client.
    pub(super) fn may_receive_retained(&self, topic: &TopicName, source: Option<&Source>) -> bool {
        self.lock().permit.may_receive_retained(topic, source)
    }

    pub fn attach(&self) {
        self.lock().attached = true;
    }

    /// The connection is gone. QoS 0 does not wait for the next one: the specification leaves it to the server, and a
    /// day of telemetry nobody asked to keep would push out what somebody did.
    pub fn detach(&self) {
        let mut waiting = self.lock();
        waiting.attached = false;
        waiting.retain(|delivery| delivery.message.qos > QoS::AtMostOnce);
    }

    pub(super) fn put(self: &Arc<Self>, delivery: Delivery) -> Put {
        let weight = delivery.weight();
        self.place(Kind::Live, delivery, weight)
    }

    pub(super) fn put_retained(self: &Arc<Self>, delivery: Delivery) -> Put {
        let cost = RETAINED_COST + delivery.identifiers();
        self.place(Kind::Retained, delivery, cost)
    }

    fn place(self: &Arc<Self>, kind: Kind, delivery: Delivery, cost: usize) -> Put {
        match self.try_place(kind, delivery, cost) {
            Ok(put) => put,
            // Not while this mailbox is locked: others are looked at.
            Err(delivery) if self.queues.make_room(cost, self) => {
                self.try_place(kind, *delivery, cost).unwrap_or(Put::Full)
            }
            Err(_) => Put::Full,
        }
    }

    /// Gives the delivery back when only the common budget has no room for it.
    fn try_place(self: &Arc<Self>, kind: Kind, delivery: Delivery, cost: usize) -> Result<Put, Box<Delivery>> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Ok(Put::Closed);
        }
        let is_qos_0 = delivery.message.qos == QoS::AtMostOnce;
        if is_qos_0 && !waiting.attached {
            return Ok(Put::Done);
        }
        // What may wait for long, and takes the room of others, is asked for now as well. Everything is when it is delivered.
        if self.durable.is_some() && !waiting.permit.may_receive(&delivery.message.topic) {
            return Ok(Put::Denied);
        }
        if waiting.count(kind).total() >= self.max(kind) {
            return Ok(Put::Full);
        }
        let share = match Share::take(&self.own_budget, &self.queues.budget, cost) {
            Ok(share) => Some(share),
            Err(Shortage::Own) => return Ok(Put::Full),
            Err(Shortage::Common) => return Err(Box::new(delivery)),
        };
        let delivery = Delivery { share, ..delivery };
        if self.durable.is_some() && !is_qos_0 {
            waiting.count(kind).places += 1;
            return Ok(Put::ToStore(PendingDelivery::new(self.clone(), delivery, kind)));
        }
        waiting.push(delivery);
        drop(waiting);
        self.ready.notify_one();
        Ok(Put::Done)
    }

    /// What a restart has found, charged as it was before, whether there is room or not: what was acknowledged is not dropped
    /// because a cap has become lower. Nothing new is taken until there is room again.
    pub fn charge_restored(&self, delivery: Delivery) -> Delivery {
        let weight = delivery.weight();
        let share = Share::of_restored(&self.own_budget, &self.queues.budget, weight);
        Delivery { share: Some(share), ..delivery }
    }

    pub fn holding(&self) -> Holding {
        let waiting = self.lock();
        Holding { messages: waiting.live.total() + waiting.retained.total(), bytes: self.bytes() }
    }

    /// With what is sent and not acknowledged.
    pub(super) fn bytes(&self) -> usize {
        self.own_budget.used()
    }

    /// Whether it holds more than its limits allow.
    pub fn is_over_limits(&self) -> bool {
        let Holding { messages, bytes } = self.holding();
        messages > self.limits.max_messages || bytes > self.limits.max_bytes
    }

    /// Drops the oldest that have not been sent, so many bytes of them. How many messages these are.
    pub(super) fn shed(&self, bytes: usize) -> u64 {
        let (mut waiting, mut left, mut count, mut numbers) = (self.lock(), bytes, 0, Vec::new());
        waiting.retain(|delivery| {
            let goes = left > 0 && !delivery.is_replay;
            if goes {
                left = left.saturating_sub(delivery.weight());
                count += 1;
                numbers.extend(delivery.number);
            }
            !goes
        });
        waiting.shed.append(&mut numbers);
        count
    }

    /// Retained messages that wait here, or are being written down.
    pub fn replays(&self) -> usize {
        self.lock().retained.total()
    }

    /// Numbers of what was dropped to make room, since the last time.
    pub fn take_shed(&self) -> Vec<u64> {
        std::mem::take(&mut self.lock().shed)
    }

    pub fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::Relaxed)
    }

    pub fn set_subscriptions(&self, count: usize) {
        self.subscriptions.store(count, Ordering::Relaxed);
    }

    /// What was in the mailbox before a restart, in order.
    pub fn restore(&self, delivery: Delivery) {
        self.lock().push(delivery);
    }

    /// Numbers up to this one are in use.
    pub fn restore_number(&self, number: u64) {
        let mut waiting = self.lock();
        waiting.next_number = waiting.next_number.max(number + 1);
    }

    /// The next one.
    #[cfg(test)]
    pub fn take(&self) -> Option<Delivery> {
        self.take_if(|_| true)
    }

    /// The next one, if it fits.
    pub fn take_if(&self, mut fits: impl FnMut(&Delivery) -> bool) -> Option<Delivery> {
        self.lock().pop_if(|next| fits(next))
    }

    /// The session has ended: nothing is taken or numbered for it any more. Gives what waits or is on its way.
    pub fn close(&self, left_over: &mut LeftOver) {
        let mut waiting = self.lock();
        waiting.closed = true;
        (waiting.retained.waiting, waiting.live.waiting) = (0, 0);
        std::mem::take(&mut waiting.deliveries).into_iter().for_each(|delivery| left_over.add(delivery));
        left_over.numbers.append(&mut waiting.shed);
        for (number, copy) in std::mem::take(&mut waiting.unfilled) {
            match copy {
                Some(delivery) => left_over.add(delivery),
                None => left_over.numbers.push(number),
            }
        }
    }

    /// Returns after something was put in. May return with nothing there: look with `take_if`.
    pub async fn ready(&self) {
        self.ready.notified().await;
    }

    /// Of this delivery. `None` when the session has ended.
    pub(super) fn next_number(&self, delivery: &Delivery) -> Option<u64> {
        let mut waiting = self.lock();
        if waiting.closed {
            return None;
        }
        let number = waiting.next_number;
        waiting.next_number += 1;
        if number as u32 == u32::MAX {
            self.queues.claim_generation((waiting.next_number >> 32) as Generation);
        }
        let copy = || Delivery { number: Some(number), ..delivery.copy() };
        waiting.unfilled.insert(number, delivery.from_group.is_some().then(copy));
        Some(number)
    }

    /// Fills a place that was taken, unless the session has ended: then somebody else has taken care of it.
    pub(super) fn fill(&self, kind: Kind, delivery: Delivery) {
        let mut waiting = self.lock();
        waiting.vacate(kind, delivery.number);
        if waiting.closed {
            return;
        }
        waiting.push(delivery);
        drop(waiting);
        self.ready.notify_one();
    }

    /// Gives a place back that was not filled.
    pub(super) fn vacate(&self, kind: Kind, number: Option<u64>) {
        self.lock().vacate(kind, number);
    }

    fn max(&self, kind: Kind) -> usize {
        match kind {
            Kind::Live => self.limits.max_messages,
            Kind::Retained => self.limits.max_retained,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Waiting ===

impl Waiting {
    fn count(&mut self, kind: Kind) -> &mut Count {
        match kind {
            Kind::Live => &mut self.live,
            Kind::Retained => &mut self.retained,
        }
    }

    fn push(&mut self, delivery: Delivery) {
        self.count(delivery.kind()).waiting += 1;
        self.deliveries.push_back(delivery);
    }

    fn pop_if(&mut self, fits: impl FnMut(&mut Delivery) -> bool) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front_if(fits)?;
        self.count(delivery.kind()).waiting -= 1;
        Some(delivery)
    }

    fn retain(&mut self, mut stays: impl FnMut(&Delivery) -> bool) {
        let (live, retained) = (&mut self.live, &mut self.retained);
        self.deliveries.retain(|delivery| {
            let stays = stays(delivery);
            if !stays {
                let count = if delivery.is_replay { &mut *retained } else { &mut *live };
                count.waiting -= 1;
            }
            stays
        });
    }

    fn vacate(&mut self, kind: Kind, number: Option<u64>) {
        self.count(kind).places -= 1;
        number.iter().for_each(|number| _ = self.unfilled.remove(number));
    }
}

impl Count {
    fn total(&self) -> usize {
        self.waiting + self.places
    }
}
