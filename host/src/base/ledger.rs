//! One account for the memory that clients make the gateway hold beside queues and retained messages, which have limits of their own: half-read
//! packets, what a client does not read, wills, topic aliases, filters.
//!
//! Each thing holds a [`Charge`] and says how large it is now. The first [`FREE`] bytes of each are not charged: so much is sure to everybody, and
//! a gateway whose account is used up by a few goes on serving all others. What is over is refused by its owner, with the reason
//! code for it, before anything is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sure to each thing that is charged: a device that sends readings never needs more.
pub const FREE: usize = 16 * 1_024;

#[derive(Debug)]
pub struct Ledger {
    limit: usize,
    used: AtomicUsize,
}

/// What one thing takes of the account. Given back with it.
#[derive(Debug)]
pub struct Charge {
    ledger: Arc<Ledger>,
    bytes: usize,
}

// === impl Ledger ===

impl Ledger {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicUsize::new(0) })
    }

    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Of something that is nothing yet.
    pub fn charge(self: &Arc<Self>) -> Charge {
        Charge { ledger: self.clone(), bytes: 0 }
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

// === impl Charge ===

impl Charge {
    /// It has this size now. `false`: there is no room for it to grow so far, and it is charged as before.
    #[must_use]
    pub fn resize(&mut self, bytes: usize) -> bool {
        let bytes = bytes.saturating_sub(FREE);
        if bytes == self.bytes {
            return true;
        }
        if bytes < self.bytes {
            self.ledger.used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        } else if !self.ledger.take(bytes - self.bytes) {
            return false;
        }
        self.bytes = bytes;
        true
    }

    /// The same of what is there already, as after a restart: it is charged, room or not.
    pub fn restore(&mut self, bytes: usize) {
        let bytes = bytes.saturating_sub(FREE);
        self.ledger.used.fetch_add(bytes, Ordering::Relaxed);
        self.ledger.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_is_what_there_is_beyond_the_part_that_is_sure_and_comes_back_with_its_owner() {
        let ledger = Ledger::new(100);
        let (mut one, mut other) = (ledger.charge(), ledger.charge());
        assert!(one.resize(FREE) && other.resize(FREE + 60));
        assert_eq!(ledger.used(), 60);
        assert!(one.resize(FREE + 40) && !one.resize(FREE + 41), "there are 100");
        assert_eq!(ledger.used(), 100);
        assert!(other.resize(10) && one.resize(FREE + 41));
        drop(one);
        assert_eq!(ledger.used(), 0);
    }

    #[test]
    fn what_was_there_before_a_restart_is_charged_beyond_the_limit_and_only_growing_is_refused() {
        let ledger = Ledger::new(100);
        let mut one = ledger.charge();
        one.restore(FREE + 500);
        assert_eq!(ledger.used(), 500);
        assert!(!ledger.charge().resize(FREE + 1) && !one.resize(FREE + 501));
        assert!(one.resize(FREE + 400));
        assert_eq!(ledger.used(), 400);
    }
}
