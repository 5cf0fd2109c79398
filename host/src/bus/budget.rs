//! Bytes that may wait, in one mailbox and in all of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub struct Budget {
    limit: usize,
    used: AtomicUsize,
}

/// What one delivery has taken of its mailbox's budget and of the common one. It travels with the delivery, into the window
/// of unacknowledged messages too, and goes back when the delivery is dropped: acknowledged, expired, or with its session.
#[derive(Debug)]
pub struct Share {
    own: Arc<Budget>,
    common: Arc<Budget>,
    bytes: usize,
}

/// Which of the two has not so much left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shortage {
    Own,
    Common,
}

// === impl Budget ===

impl Budget {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn left(&self) -> usize {
        self.limit.saturating_sub(self.used())
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// === impl Share ===

impl Share {
    pub(super) fn take(own: &Arc<Budget>, common: &Arc<Budget>, bytes: usize) -> Result<Self, Shortage> {
        if !own.take(bytes) {
            return Err(Shortage::Own);
        }
        if !common.take(bytes) {
            own.give_back(bytes);
            return Err(Shortage::Common);
        }
        Ok(Self { own: own.clone(), common: common.clone(), bytes })
    }

    /// Of what is there already, however much: the limits may have become lower since it was taken.
    pub(super) fn of_restored(own: &Arc<Budget>, common: &Arc<Budget>, bytes: usize) -> Self {
        for budget in [own, common] {
            budget.used.fetch_add(bytes, Ordering::Relaxed);
        }
        Self { own: own.clone(), common: common.clone(), bytes }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.own.give_back(self.bytes);
        self.common.give_back(self.bytes);
    }
}
