//! One upstream's side of the spool: read, wait, complete.

use std::sync::Arc;

use super::{Entry, Fate, Position, Shared};

/// What is there for one upstream. One reader, which keeps its own place: reading removes nothing.
pub struct Queue {
    shared: Arc<Shared>,
    upstream: usize,
}

// === impl Queue ===

impl Queue {
    pub(super) fn new(shared: Arc<Shared>, upstream: usize) -> Self {
        Self { shared, upstream }
    }

    /// At most `max` entries after a position, QoS 0 and QoS 1/2 merged; at least one if there is one, then no more than
    /// `max_bytes`. [`Position::START`] reads again everything that is not completed.
    pub fn read(&self, after: Position, max: usize, max_bytes: usize) -> Vec<Entry> {
        self.shared.ledger().read(self.upstream, after, max, max_bytes)
    }

    /// Returns when there is an entry after this position.
    pub async fn wait_after(&self, after: Position) {
        let Some(arrivals) = self.shared.arrivals.get(self.upstream) else { return std::future::pending().await };
        // `notify_one` leaves a permit behind, so that an arrival between the look and the wait is not missed.
        while !self.has_after(after) {
            arrivals.notified().await;
        }
    }

    pub fn has_after(&self, after: Position) -> bool {
        self.shared.ledger().has_after(self.upstream, after)
    }

    /// The entry has met its fate: it leaves, is counted once, and makes room. Saying it twice changes nothing.
    pub fn complete(&self, position: Position, fate: Fate) {
        let settled = self.shared.ledger().complete(self.upstream, position, fate);
        settled.into_iter().for_each(super::Settled::settle);
    }

    /// Entries that are admitted and not completed.
    pub fn len(&self) -> usize {
        self.shared.ledger().len(self.upstream)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
