//! Who sleeps beside the books, and for whom there is news.
//!
//! A wake is a system call, or a task on its way to another thread: much dearer than an entry in a book. So the books only note for
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
pub(super) struct News {
    /// By upstream.
    of: Vec<New>,
    /// The threads of the spool, each until somebody wakes it.
    pub is_committer_asleep: bool,
    pub is_refill_asleep: bool,
    /// There may be something for them.
    stirred: bool,
}

#[derive(Clone, Copy, Default)]
struct New {
    arrived: bool,
    confirmed: bool,
}

// === impl News ===

impl News {
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
    pub fn stir(&mut self) {
        self.stirred = true;
    }
}

// === impl Shared ===

impl Shared {
    /// There is something for the committer or the refill.
    pub(super) fn stir(self: &Arc<Self>) {
        self.ledger().news.stir();
        self.tell();
    }

    /// The books have changed: whom that concerns hears of it when the turn is over.
    pub(super) fn tell(self: &Arc<Self>) {
        wake::wake_once(self);
    }

    /// To the senders, at once.
    pub(super) fn announce(&self) {
        let mut ledger = self.ledger();
        for (new, signals) in ledger.news.of.iter_mut().zip(&self.signals) {
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
        let mut ledger = self.ledger();
        let is_stirred = std::mem::take(&mut ledger.news.stirred);
        let wakes_committer = is_stirred && std::mem::take(&mut ledger.news.is_committer_asleep);
        let wakes_refill = is_stirred && ledger.has_want() && std::mem::take(&mut ledger.news.is_refill_asleep);
        drop(ledger);
        #[cfg(test)]
        if let Some(hand) = self.by_hand.get().filter(|_| is_stirred) {
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
