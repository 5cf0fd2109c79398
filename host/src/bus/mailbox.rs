//! What waits for one session: bounded, and alive while the session is, connected or not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::{Budget, Parcel};
use crate::message::{Message, QoS};

#[derive(Clone, Debug)]
pub struct Delivery {
    pub message: Message,
    pub subscription_ids: Vec<u32>,
    /// For the expiry interval, which shrinks while the message waits [MQTT-3.3.2-6].
    pub arrived: Instant,
    /// Its number in the durable state, which rises within a session. `None` when it is kept in memory only.
    pub number: Option<u64>,
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
/// written for its last session is ever taken for the present one's.
pub type Generation = u32;

#[derive(Debug)]
pub struct Mailbox {
    client: Arc<str>,
    /// Of a session that survives a restart.
    durable: Option<Generation>,
    limits: MailboxLimits,
    budget: Arc<Budget>,
    waiting: Mutex<Waiting>,
    ready: Notify,
}

/// What became of a delivery.
#[derive(Debug)]
pub(super) enum Put {
    Done,
    /// It has its place, and is to be written down first.
    ToStore(Parcel),
    /// No room: the message is dropped for this subscriber and nobody else.
    Full,
}

#[derive(Debug, Default)]
struct Waiting {
    live: VecDeque<Delivery>,
    /// With those whose place is taken and that are not safe yet.
    live_messages: usize,
    live_bytes: usize,
    retained: VecDeque<Delivery>,
    /// Taken among the retained, and not safe yet.
    retained_places: usize,
    attached: bool,
    next_number: u64,
    closed: bool,
}

// === impl Mailbox ===

impl Mailbox {
    pub fn new(client: Arc<str>, limits: MailboxLimits, budget: Arc<Budget>) -> Arc<Self> {
        let waiting = Mutex::default();
        Arc::new(Self { client, durable: None, limits, budget, waiting, ready: Notify::new() })
    }

    /// For a session that survives a restart.
    pub fn durable(client: Arc<str>, limits: MailboxLimits, budget: Arc<Budget>, generation: Generation) -> Arc<Self> {
        let next_number = u64::from(generation) << 32;
        let waiting = Mutex::new(Waiting { next_number, ..Waiting::default() });
        Arc::new(Self { client, durable: Some(generation), limits, budget, waiting, ready: Notify::new() })
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

    pub fn attach(&self) {
        self.lock().attached = true;
    }

    /// The connection is gone. QoS 0 does not wait for the next one: the specification leaves it to the server, and a
    /// day of telemetry nobody asked to keep would push out what somebody did.
    pub fn detach(&self) {
        let mut waiting = self.lock();
        waiting.attached = false;
        let (before, mut freed) = (waiting.live.len(), 0);
        waiting.live.retain(|delivery| {
            let keep = delivery.message.qos > QoS::AtMostOnce;
            freed += if keep { 0 } else { delivery.message.weight() };
            keep
        });
        waiting.live_messages -= before - waiting.live.len();
        waiting.live_bytes -= freed;
        self.budget.give_back(freed);
    }

    pub(super) fn put(self: &Arc<Self>, delivery: Delivery) -> Put {
        let mut waiting = self.lock();
        let is_qos_0 = delivery.message.qos == QoS::AtMostOnce;
        if !waiting.attached && is_qos_0 {
            return Put::Done;
        }
        if waiting.live_messages >= self.limits.max_messages || !self.take_bytes(&mut waiting, &delivery) {
            return Put::Full;
        }
        waiting.live_messages += 1;
        if self.durable.is_some() && !is_qos_0 {
            return Put::ToStore(Parcel::new(self.clone(), delivery, false));
        }
        waiting.live.push_back(delivery);
        drop(waiting);
        self.ready.notify_one();
        Put::Done
    }

    pub(super) fn put_retained(self: &Arc<Self>, delivery: Delivery) -> Put {
        let mut waiting = self.lock();
        if waiting.retained.len() + waiting.retained_places >= self.limits.max_retained {
            return Put::Full;
        }
        if self.durable.is_some() && delivery.message.qos > QoS::AtMostOnce {
            waiting.retained_places += 1;
            return Put::ToStore(Parcel::new(self.clone(), delivery, true));
        }
        waiting.retained.push_back(delivery);
        drop(waiting);
        self.ready.notify_one();
        Put::Done
    }

    /// What was in the mailbox before a restart, in order. False when there is no room: the caps have been lowered since.
    pub fn restore(&self, delivery: Delivery) -> bool {
        let mut waiting = self.lock();
        if !self.take_bytes(&mut waiting, &delivery) {
            return false;
        }
        waiting.live_messages += 1;
        waiting.live.push_back(delivery);
        true
    }

    /// Numbers up to this one are in use.
    pub fn restore_number(&self, number: u64) {
        let mut waiting = self.lock();
        waiting.next_number = waiting.next_number.max(number + 1);
    }

    /// The next one; retained messages first, because they are older than anything live.
    pub fn take(&self) -> Option<Delivery> {
        self.take_if(|_| true)
    }

    /// The next one, if it fits.
    pub fn take_if(&self, fits: impl Fn(&Delivery) -> bool) -> Option<Delivery> {
        let mut waiting = self.lock();
        if let Some(next) = waiting.retained.front() {
            return if fits(next) { waiting.retained.pop_front() } else { None };
        }
        let delivery = waiting.live.pop_front_if(|next| fits(next))?;
        self.account_gone(&mut waiting, &delivery);
        Some(delivery)
    }

    /// The session has ended: nothing is numbered for it any more. Gives the numbers of what waits.
    pub fn close(&self) -> Vec<u64> {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.retained.iter().chain(&waiting.live).filter_map(|delivery| delivery.number).collect()
    }

    /// Returns after something was put in. May return with nothing there: look with `take`.
    pub async fn ready(&self) {
        self.ready.notified().await;
    }

    pub(super) fn next_number(&self) -> Option<u64> {
        let mut waiting = self.lock();
        let number = waiting.next_number;
        waiting.next_number += 1;
        (!waiting.closed).then_some(number)
    }

    /// Fills a place that was taken.
    pub(super) fn fill(&self, delivery: Delivery, retained: bool) {
        let mut waiting = self.lock();
        if retained {
            waiting.retained_places -= 1;
            waiting.retained.push_back(delivery);
        } else {
            waiting.live.push_back(delivery);
        }
        drop(waiting);
        self.ready.notify_one();
    }

    /// Gives a place back that was not filled.
    pub(super) fn vacate(&self, delivery: &Delivery, retained: bool) {
        let mut waiting = self.lock();
        match retained {
            true => waiting.retained_places -= 1,
            false => self.account_gone(&mut waiting, delivery),
        }
    }

    fn take_bytes(&self, waiting: &mut Waiting, delivery: &Delivery) -> bool {
        let weight = delivery.message.weight();
        let fits = waiting.live_bytes + weight <= self.limits.max_bytes && self.budget.take(weight);
        waiting.live_bytes += if fits { weight } else { 0 };
        fits
    }

    fn account_gone(&self, waiting: &mut Waiting, delivery: &Delivery) {
        let weight = delivery.message.weight();
        waiting.live_messages -= 1;
        waiting.live_bytes -= weight;
        self.budget.give_back(weight);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.budget.give_back(self.lock().live_bytes);
    }
}
