//! What all mailboxes share: one budget of bytes, and who gives way when it is used up.
//!
//! - Each session is sure of an equal part of the budget: it loses nothing as long as it holds no more.
//! - A session that is away gives way to one that is connected; among equals, the one that holds most gives way to one that
//!   holds less.
//! - What goes is the oldest that has not been sent, counted and logged.
//!
//! So sessions that nobody comes back to cannot take what those need that are there. Not chosen: a fixed part for sessions that
//! are away, which would be too small for the one device that sleeps, and idle when all are connected.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::Mailbox;
use super::budget::Budget;
use crate::base::rate_limit::RateLimit;
use crate::metrics::Counters;

/// Of the budget, what goes at once at least: looking through all sessions for each message would cost more than it delivers.
const PART_AT_ONCE: usize = 64;

#[derive(Debug)]
pub struct Queues {
    pub(super) budget: Arc<Budget>,
    mailboxes: Mutex<Vec<Weak<Mailbox>>>,
    counters: Arc<Counters>,
    warnings: RateLimit,
}

/// One that may have to give way.
struct Holder {
    mailbox: Arc<Mailbox>,
    is_away: bool,
    bytes: usize,
}

// === impl Queues ===

impl Queues {
    pub fn new(bytes: usize, counters: Arc<Counters>) -> Arc<Self> {
        let (budget, mailboxes, warnings) = (Budget::new(bytes), Mutex::default(), RateLimit::per_second(1));
        Arc::new(Self { budget, mailboxes, counters, warnings })
    }

    pub(super) fn register(&self, mailbox: &Arc<Mailbox>) {
        let mut mailboxes = self.lock();
        if mailboxes.len() == mailboxes.capacity() {
            mailboxes.retain(|mailbox| mailbox.strong_count() > 0);
        }
        mailboxes.push(Arc::downgrade(mailbox));
    }

    /// Drops messages of others, if that may be, until so many bytes are free for this one. No mailbox may be locked.
    pub(super) fn make_room(&self, bytes: usize, needy: &Mailbox) -> bool {
        let mut passed_over = Vec::new();
        while self.budget.left() < bytes {
            let Some(holder) = self.who_gives_way(bytes, needy, &passed_over) else { return false };
            let wanted = bytes.max(self.budget.limit() / PART_AT_ONCE);
            let shed = holder.mailbox.shed(wanted);
            self.report(&holder, shed);
            if shed == 0 {
                passed_over.push(holder.mailbox);
            }
        }
        true
    }

    fn who_gives_way(&self, bytes: usize, needy: &Mailbox, passed_over: &[Arc<Mailbox>]) -> Option<Holder> {
        let holders = self.holders();
        let sure = self.budget.limit() / holders.len().max(1);
        let (needs, needy_is_away) = (needy.bytes() + bytes, !needy.is_attached());
        let gives_way = |holder: &Holder| {
            let is_before = holder.is_away && !needy_is_away;
            holder.bytes > sure && (is_before || holder.bytes > needs)
        };
        holders
            .into_iter()
            .filter(|holder| !std::ptr::eq(&*holder.mailbox, needy))
            .filter(|holder| !passed_over.iter().any(|passed| Arc::ptr_eq(passed, &holder.mailbox)))
            .filter(gives_way)
            .max_by_key(|holder| (holder.is_away, holder.bytes))
    }

    /// Those that hold something.
    fn holders(&self) -> Vec<Holder> {
        let mailboxes: Vec<Arc<Mailbox>> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let holder =
            |mailbox: Arc<Mailbox>| Holder { is_away: !mailbox.is_attached(), bytes: mailbox.bytes(), mailbox };
        mailboxes.into_iter().map(holder).filter(|holder| holder.bytes > 0).collect()
    }

    fn report(&self, holder: &Holder, shed: u64) {
        self.counters.subscriber_dropped.add(shed);
        if shed == 0 {
            return;
        }
        if let Some(suppressed) = self.warnings.permit() {
            let (client, is_away) = (holder.mailbox.client(), holder.is_away);
            tracing::warn!(
                ?client,
                is_away,
                dropped = shed,
                suppressed,
                "the oldest messages queued for a session are dropped: others need the room, and broker.limits.max_queued_bytes_total is used up; `tidegate sessions` shows who holds it"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Mailbox>>> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
