//! How much there is on the bus, for those who watch it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::Bus;
use crate::topic::SharedFilter;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusCensus {
    /// Without those of groups.
    pub subscriptions: usize,
    /// Members of groups, each for each filter.
    pub shared_subscriptions: usize,
    pub retained: usize,
    /// Of their payloads.
    pub retained_bytes: usize,
}

/// Counted as they come and go: nobody walks the tree for it.
#[derive(Debug, Default)]
pub(super) struct Subscribed {
    own: AtomicUsize,
    shared: AtomicUsize,
}

// === impl Subscribed ===

impl Subscribed {
    pub fn add(&self, filter: &SharedFilter, count: usize) {
        self.of(filter).fetch_add(count, Ordering::Relaxed);
    }

    pub fn remove(&self, filter: &SharedFilter, count: usize) {
        self.of(filter).fetch_sub(count, Ordering::Relaxed);
    }

    fn of(&self, filter: &SharedFilter) -> &AtomicUsize {
        if filter.group.is_some() { &self.shared } else { &self.own }
    }
}

// === impl Bus ===

impl Bus {
    pub fn census(&self) -> BusCensus {
        let (retained, retained_bytes) = self.retained().count();
        BusCensus {
            subscriptions: self.subscribed.own.load(Ordering::Relaxed),
            shared_subscriptions: self.subscribed.shared.load(Ordering::Relaxed),
            retained,
            retained_bytes,
        }
    }
}
