//! What waits for one session: bounded, and alive while the session is, connected or not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::budget::{Budget, Share};
use crate::message::{Message, QoS};

/// What a retained message costs while it waits: its payload is shared with the store, its bookkeeping is not.
const RETAINED_COST: usize = 256;

#[derive(Debug)]
pub struct Delivery {
    pub message: Message,
    pub subscription_ids: Vec<u32>,
    /// For the expiry interval, which shrinks while the message waits [MQTT-3.3.2-6].
    pub arrived: Instant,
    /// Its place in the budgets, from the mailbox on.
    pub share: Option<Share>,
}

#[derive(Clone, Copy, Debug)]
pub struct MailboxLimits {
    pub max_messages: usize,
    pub max_bytes: usize,
    /// Retained messages waiting for one client. Separate, because one SUBSCRIBE may ask for all of them at once and a
    /// full queue of live messages must not cut them short.
    pub max_retained: usize,
}

#[derive(Debug)]
pub struct Mailbox {
    client: Arc<str>,
    limits: MailboxLimits,
    own_budget: Arc<Budget>,
    common_budget: Arc<Budget>,
    waiting: Mutex<Waiting>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    live: VecDeque<Delivery>,
    retained: VecDeque<Delivery>,
    attached: bool,
}

// === impl Mailbox ===

impl Mailbox {
    /// `common_budget` is shared by all mailboxes.
    pub fn new(client: Arc<str>, limits: MailboxLimits, common_budget: Arc<Budget>) -> Arc<Self> {
        let (own_budget, waiting, ready) = (Budget::new(limits.max_bytes), Mutex::default(), Notify::new());
        Arc::new(Self { client, limits, own_budget, common_budget, waiting, ready })
    }

    pub fn client(&self) -> &str {
        &self.client
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
        waiting.live.retain(|delivery| delivery.message.qos > QoS::AtMostOnce);
        waiting.retained.retain(|delivery| delivery.message.qos > QoS::AtMostOnce);
    }

    /// False when there is no room: the message is dropped for this subscriber and nobody else.
    pub(super) fn put(&self, delivery: Delivery) -> bool {
        let weight = delivery.message.weight();
        let mut waiting = self.lock();
        if !waiting.attached && delivery.message.qos == QoS::AtMostOnce {
            return true;
        }
        if waiting.live.len() >= self.limits.max_messages {
            return false;
        }
        let Some(delivery) = self.charge(delivery, weight) else { return false };
        waiting.live.push_back(delivery);
        drop(waiting);
        self.ready.notify_one();
        true
    }

    pub(super) fn put_retained(&self, delivery: Delivery) -> bool {
        let mut waiting = self.lock();
        if waiting.retained.len() >= self.limits.max_retained {
            return false;
        }
        let Some(delivery) = self.charge(delivery, RETAINED_COST) else { return false };
        waiting.retained.push_back(delivery);
        drop(waiting);
        self.ready.notify_one();
        true
    }

    /// The next one; retained messages first, because they are older than anything live.
    pub fn take(&self) -> Option<Delivery> {
        let mut waiting = self.lock();
        waiting.retained.pop_front().or_else(|| waiting.live.pop_front())
    }

    fn charge(&self, delivery: Delivery, bytes: usize) -> Option<Delivery> {
        let share = Share::take(&self.own_budget, &self.common_budget, bytes)?;
        Some(Delivery { share: Some(share), ..delivery })
    }

    /// Returns after something was put in. May return with nothing there: look with `take`.
    pub async fn ready(&self) {
        self.ready.notified().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
