//! Tickets whose outcome is safe, or refused, until the one who acknowledges takes them.
//!
//! A queue and one sleeper, and not a channel: many tickets become safe with one sync, and their connection is woken once for
//! all of them, when the last is there ([`wake`]).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::base::wake::{self, Wake};

/// Shared by the receipts and by the one that waits for them. Unbounded in type, bounded in fact: a ticket of a message
/// holds a place in a lane until it is resolved, one of another packet is among those that a session may have unanswered.
#[derive(Clone, Debug, Default)]
pub struct Resolved(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    tickets: Mutex<VecDeque<u64>>,
    /// Of them, those that never will be safe. None, as a rule, which is why they are not asked for under a lock.
    refused: Mutex<Vec<u64>>,
    has_refused: AtomicBool,
    arrived: Notify,
}

// === impl Resolved ===

impl Resolved {
    /// The next one; waits for it. Nothing is lost when it is not waited for to the end. For one waiter.
    pub async fn next(&self) -> u64 {
        loop {
            if let Some(ticket) = self.try_next() {
                return ticket;
            }
            // `notify_one` leaves a permit behind, so that an arrival between the look and the wait is not missed.
            self.0.arrived.notified().await;
        }
    }

    /// The next one that is there already.
    pub fn try_next(&self) -> Option<u64> {
        self.0.tickets().pop_front()
    }

    /// Whether this ticket, which has come, was refused. Asked once.
    pub fn take_refused(&self, ticket: u64) -> bool {
        if !self.0.has_refused.load(Ordering::Acquire) {
            return false;
        }
        let mut refused = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let before = refused.len();
        refused.retain(|one| *one != ticket);
        self.0.has_refused.store(!refused.is_empty(), Ordering::Release);
        refused.len() < before
    }

    pub(super) fn push_refused(&self, ticket: u64) {
        let mut refused = self.0.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.push(ticket);
        self.0.has_refused.store(true, Ordering::Release);
        drop(refused);
        self.push(ticket);
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.tickets().is_empty()
    }

    pub(super) fn push(&self, ticket: u64) {
        let mut tickets = self.0.tickets();
        tickets.push_back(ticket);
        // Behind others: their wake is on its way, or somebody is taking them.
        let is_first = tickets.len() == 1;
        drop(tickets);
        if is_first {
            wake::wake(&self.0);
        }
    }
}

// === impl Waiting ===

impl Waiting {
    fn tickets(&self) -> MutexGuard<'_, VecDeque<u64>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Waiting {
    fn wake(&self) {
        self.arrived.notify_one();
    }
}
