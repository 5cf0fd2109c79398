//! What all mailboxes share: one budget of bytes, and who gives way when it is used up.
//!
//! - Each session is sure of an equal part of the budget: it loses nothing as long as it holds no more.
//! - A session that is away gives way to one that is connected; among equals, the one that holds most gives way to one that
//!   holds less.
//! - What goes is the oldest that has not been sent, counted and logged.
//!
//! So sessions that nobody comes back to cannot take what those need that are there. Not chosen: a fixed part for sessions that
//! are away, which would be too small for the one device that sleeps, and idle when all are connected.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::{Generation, Mailbox};
use crate::base::clock;
use crate::base::excerpt::brief;
use crate::base::ledger::Ledger;
use crate::base::rate_limit::RateLimit;
use crate::metrics::Counters;

/// Of the budget, what goes at once at least: looking through all sessions for each message would cost more than it delivers.
const PART_AT_ONCE: usize = 64;

/// After nobody was found who gives way, how long a session that holds more than its part does not look again: with hundreds of
/// full queues, each message would have each of them look through all.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Queues {
    pub(super) budget: Arc<Budget>,
    ledger: Arc<Ledger>,
    /// The next that no session has had.
    next_generation: AtomicU32,
    next_serial: AtomicU64,
    mailboxes: Mutex<Vec<Weak<Mailbox>>>,
    counters: Arc<Counters>,
    warnings: RateLimit,
    start: Instant,
    /// Until when nobody looks who holds more than this, in milliseconds since the start.
    pause_until: AtomicU64,
    sure: AtomicUsize,
}

/// One that may have to give way.
struct Holder {
    mailbox: Arc<Mailbox>,
    is_away: bool,
    bytes: usize,
}

// === impl Queues ===

impl Queues {
    /// `ledger` is for what else the sessions hold.
    pub fn new(bytes: usize, ledger: Arc<Ledger>, counters: Arc<Counters>) -> Arc<Self> {
        let (budget, mailboxes, warnings) = (Budget::new(bytes), Mutex::default(), RateLimit::per_second(1));
        let (start, pause_until, sure) = (clock::now(), AtomicU64::new(0), AtomicUsize::new(0));
        let (next_generation, next_serial) = (AtomicU32::new(1), AtomicU64::new(0));
        Arc::new(Self {
            budget,
            ledger,
            next_generation,
            next_serial,
            mailboxes,
            counters,
            warnings,
            start,
            pause_until,
            sure,
        })
    }

    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Bytes that wait in all mailboxes together.
    pub fn bytes(&self) -> usize {
        self.budget.used()
    }

    /// For a session that begins and survives a restart.
    pub fn new_generation(&self) -> Generation {
        self.next_generation.fetch_add(1, Ordering::Relaxed)
    }

    /// Of a mailbox.
    pub(super) fn new_serial(&self) -> u64 {
        self.next_serial.fetch_add(1, Ordering::Relaxed)
    }

    /// It has been given, or the numbers of a session have come so far: no session that begins has it.
    pub fn claim_generation(&self, generation: Generation) {
        self.next_generation.fetch_max(generation.saturating_add(1), Ordering::Relaxed);
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
        if bytes > self.budget.limit() || self.is_pointless(needy.bytes() + bytes) {
            return false;
        }
        let mut passed_over = Vec::new();
        while self.budget.left() < bytes {
            let Some(holder) = self.who_gives_way(bytes, needy, &passed_over) else {
                self.pause_until.store(self.now() + PAUSE.as_millis() as u64, Ordering::Relaxed);
                return false;
            };
            let wanted = bytes.max(self.budget.limit() / PART_AT_ONCE);
            let shed = holder.mailbox.shed(wanted);
            self.report(&holder, shed);
            if shed == 0 {
                passed_over.push(holder.mailbox);
            }
        }
        true
    }

    fn is_pointless(&self, needs: usize) -> bool {
        needs > self.sure.load(Ordering::Relaxed) && self.now() < self.pause_until.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    fn who_gives_way(&self, bytes: usize, needy: &Mailbox, passed_over: &[Arc<Mailbox>]) -> Option<Holder> {
        let others = self.others_than(needy);
        let sure = self.budget.limit() / (others.len() + 1);
        self.sure.store(sure, Ordering::Relaxed);
        let (needs, needy_is_away) = (needy.bytes() + bytes, !needy.is_attached());
        let gives_way = |holder: &Holder| {
            let is_before = holder.is_away && !needy_is_away;
            holder.bytes > sure && (is_before || holder.bytes > needs)
        };
        others
            .into_iter()
            .filter(|holder| !passed_over.iter().any(|passed| Arc::ptr_eq(passed, &holder.mailbox)))
            .filter(gives_way)
            .max_by_key(|holder| (holder.is_away, holder.bytes))
    }

    /// Those that hold something.
    fn others_than(&self, needy: &Mailbox) -> Vec<Holder> {
        let mailboxes: Vec<Arc<Mailbox>> = self.lock().iter().filter_map(Weak::upgrade).collect();
        let holder = |mailbox: Arc<Mailbox>| {
            let (is_away, bytes) = (!mailbox.is_attached(), mailbox.bytes());
            Holder { mailbox, is_away, bytes }
        };
        let is_other = |mailbox: &Arc<Mailbox>| !std::ptr::eq(&**mailbox, needy) && mailbox.bytes() > 0;
        mailboxes.into_iter().filter(is_other).map(holder).collect()
    }

    fn report(&self, holder: &Holder, shed: u64) {
        self.counters.subscriber_dropped.add(shed);
        if shed == 0 {
            return;
        }
        if let Some(suppressed) = self.warnings.permit() {
            let (client, is_away) = (holder.mailbox.client(), holder.is_away);
            tracing::warn!(
                client = ?brief(&client),
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
