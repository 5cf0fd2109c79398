//! Who sleeps beside the queue state, and for whom there is news.
//!
//! A wake is a system call, or a task on its way to another thread: much dearer than an entry in a table. So the queue state only records for
//! whom there is something, whoever changed them tells once, when its turn is over ([`wake`]), and who does not sleep is not woken.

use std::sync::Arc;

use tokio::sync::Notify;

use super::Shared;
use crate::base::wake::{self, Wake};

/// What the sender of an upstream waits for.
#[derive(Default)]
pub(super) struct Signals {
    pub arrived: Notify,
    pub confirmed: Notify,
}

/// Behind the spool's mutex.
#[derive(Default)]
pub(super) struct WakeUps {
    /// By upstream.
    of: Vec<New>,
    /// The threads of the spool, each until somebody wakes it.
    pub is_committer_asleep: bool,
    /// It sleeps no longer than a completion may wait that comes now.
    pub looks_by_itself: bool,
    pub is_refill_asleep: bool,
    /// There may be something for them.
    notified: bool,
}

#[derive(Clone, Copy, Default)]
struct New {
    arrived: bool,
    confirmed: bool,
}

// === impl News ===

impl WakeUps {
    pub fn new(upstreams: usize) -> Self {
        Self { of: vec![New::default(); upstreams], ..Self::default() }
    }

    /// An entry can be read.
    pub fn arrived(&mut self, upstream: usize) {
        self.of.iter_mut().skip(upstream).take(1).for_each(|new| new.arrived = true);
    }

    /// Something is durable.
    pub fn confirmed(&mut self, upstream: usize) {
        self.of.iter_mut().skip(upstream).take(1).for_each(|new| new.confirmed = true);
    }

    /// Something is to be written, or to be read.
    pub fn notify(&mut self) {
        self.notified = true;
    }
}

// === impl Shared ===

impl Shared {
    /// There is something for the committer or the refill.
    pub(super) fn notify(self: &Arc<Self>) {
        self.queue_state().wake_ups.notify();
        self.tell();
    }

    /// The queue state has changed: whom that concerns hears of it when the turn is over.
    pub(super) fn tell(self: &Arc<Self>) {
        wake::wake_once(self);
    }

    /// To the senders, at once.
    pub(super) fn announce(&self) {
        let mut queue_state = self.queue_state();
        for (new, signals) in queue_state.wake_ups.of.iter_mut().zip(&self.signals) {
            let New { arrived, confirmed } = std::mem::take(new);
            // Each has one waiter, and leaves a permit behind when it does not wait.
            if arrived {
                signals.arrived.notify_one();
            }
            if confirmed {
                signals.confirmed.notify_one();
            }
        }
    }
}

impl Wake for Shared {
    fn wake(&self) {
        let mut queue_state = self.queue_state();
        let is_notified = std::mem::take(&mut queue_state.wake_ups.notified);
        let wakes_committer = is_notified && std::mem::take(&mut queue_state.wake_ups.is_committer_asleep);
        let wakes_refill =
            is_notified && queue_state.has_want() && std::mem::take(&mut queue_state.wake_ups.is_refill_asleep);
        drop(queue_state);
        #[cfg(test)]
        if let Some(hand) = self.manual_driver.get().filter(|_| is_notified) {
            hand.lock().unwrap_or_else(std::sync::PoisonError::into_inner).turn(self);
        }
        if wakes_committer {
            self.work.notify_one();
        }
        if wakes_refill {
            self.wants.notify_one();
        }
        self.announce();
    }
}
