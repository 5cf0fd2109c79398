//! Bytes that may wait, in one mailbox and in all of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
}

/// What one delivery has taken of its mailbox's budget and of the common one. It travels with the delivery, into the window
/// of unacknowledged messages too, and goes back when the delivery is dropped: acknowledged, expired, or with its session.
#[derive(Debug)]
pub struct Share {
    own: Arc<Budget>,
    common: Arc<Budget>,
    bytes: usize,
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

// === impl Share ===

impl Share {
    /// `None` when either has not so much left.
    pub(super) fn take(own: &Arc<Budget>, common: &Arc<Budget>, bytes: usize) -> Option<Self> {
        if !own.take(bytes) {
            return None;
        }
        if !common.take(bytes) {
            own.give_back(bytes);
            return None;
        }
        Some(Self { own: own.clone(), common: common.clone(), bytes })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.own.give_back(self.bytes);
        self.common.give_back(self.bytes);
    }
}
