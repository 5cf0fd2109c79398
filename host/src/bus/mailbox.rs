//! What waits for one session: bounded, and alive while the session is, connected or not.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use crate::message::{Message, QoS};

#[derive(Clone, Debug)]
pub struct Delivery {
    pub message: Message,
    pub subscription_ids: Vec<u32>,
    /// For the expiry interval, which shrinks while the message waits [MQTT-3.3.2-6].
    pub arrived: Instant,
}

#[derive(Clone, Copy, Debug)]
pub struct MailboxLimits {
    pub max_messages: usize,
    pub max_bytes: usize,
    /// Retained messages waiting for one client. Separate, because one SUBSCRIBE may ask for all of them at once and a
    /// full queue of live messages must not cut them short.
    pub max_retained: usize,
}

/// Bytes that live messages of all mailboxes may hold together.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
}

#[derive(Debug)]
pub struct Mailbox {
    client: Arc<str>,
    limits: MailboxLimits,
    budget: Arc<Budget>,
    waiting: Mutex<Waiting>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    live: VecDeque<Delivery>,
    live_bytes: usize,
    retained: VecDeque<Delivery>,
    attached: bool,
}

// === impl Mailbox ===

impl Mailbox {
    pub fn new(client: Arc<str>, limits: MailboxLimits, budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { client, limits, budget, waiting: Mutex::default(), ready: Notify::new() })
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
        let kept = waiting.live.iter().map(|delivery| delivery.message.weight()).sum();
        self.budget.give_back(std::mem::replace(&mut waiting.live_bytes, kept) - kept);
    }

    /// False when there is no room: the message is dropped for this subscriber and nobody else.
    pub(super) fn put(&self, delivery: Delivery) -> bool {
        let mut waiting = self.lock();
        if !waiting.attached && delivery.message.qos == QoS::AtMostOnce {
            return true;
        }
        let weight = delivery.message.weight();
        if waiting.live.len() >= self.limits.max_messages || waiting.live_bytes + weight > self.limits.max_bytes {
            return false;
        }
        if !self.budget.take(weight) {
            return false;
        }
        waiting.live_bytes += weight;
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
        waiting.retained.push_back(delivery);
        drop(waiting);
        self.ready.notify_one();
        true
    }

    /// The next one; retained messages first, because they are older than anything live.
    pub fn take(&self) -> Option<Delivery> {
        let mut waiting = self.lock();
        if let Some(delivery) = waiting.retained.pop_front() {
            return Some(delivery);
        }
        let delivery = waiting.live.pop_front()?;
        let weight = delivery.message.weight();
        waiting.live_bytes -= weight;
        self.budget.give_back(weight);
        Some(delivery)
    }

    /// Returns after something was put in. May return with nothing there: look with `take`.
    pub async fn ready(&self) {
        self.ready.notified().await;
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

// === impl Budget ===

impl Budget {
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(bytes) })
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}
