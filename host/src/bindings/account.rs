//! One message between its arrival and the spool: it is either settled or counted as unfinished, whoever drops it.

use std::sync::Arc;

use crate::metrics::Counters;

/// Goes with a message through waiting, lanes and gathering. A guard, because a stop, a lost connection and a cleared lane all
/// end a message by dropping it, and promise P5 has no place for one that nobody counted.
#[derive(Debug)]
pub(super) struct Account {
    /// None when it is settled.
    counters: Option<Arc<Counters>>,
}

// === impl Account ===

impl Account {
    pub fn open(counters: Arc<Counters>) -> Self {
        counters.in_flight.increment();
        Self { counters: Some(counters) }
    }

    /// What became of it is counted elsewhere from here on.
    pub fn settle(mut self) {
        self.counters.take().into_iter().for_each(|counters| counters.in_flight.decrement());
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(counters) = &self.counters {
            counters.unfinished.increment();
            counters.in_flight.decrement();
        }
    }
}
