//! One message between its arrival and the spool: it is either settled or counted as unfinished, whoever drops it.

use std::fmt;
use std::sync::Arc;

use super::dispatcher::Dispatcher;

/// Goes with a message through waiting, lanes and gathering. A guard, because a stop, a lost connection and a cleared lane all
/// end a message by dropping it, and promise P5 has no place for one that nobody counted.
///
/// The one share of the dispatcher that a message has: each would be counted by all threads.
pub(super) struct Account {
    dispatcher: Arc<Dispatcher>,
    is_settled: bool,
}

// === impl Account ===

impl Account {
    pub fn open(dispatcher: &Arc<Dispatcher>) -> Self {
        dispatcher.counters.in_flight.increment();
        Self { dispatcher: dispatcher.clone(), is_settled: false }
    }

    pub fn dispatcher(&self) -> &Arc<Dispatcher> {
        &self.dispatcher
    }

    /// What became of it is counted elsewhere from here on.
    pub fn settle(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if !self.is_settled {
            self.dispatcher.counters.unfinished.increment();
        }
        self.dispatcher.counters.in_flight.decrement();
    }
}

/// Without all that there is behind it.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("is_settled", &self.is_settled).finish_non_exhaustive()
    }
}
