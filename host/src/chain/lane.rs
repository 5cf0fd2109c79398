//! A lane: one binding's mailbox and its chain.
//!
//! A lane is in one place at a time: idle, queued for a thread, or in a thread's hands. That is what keeps order without a
//! thread of its own: jobs go through the chain one turn after the other and are done in the order they were pushed.
//!
//! A turn ends after 64 jobs or 128 KiB, and a lane with more to do goes to the end of the queue: many busy bindings share
//! few threads fairly, and a turn is what crosses into a plugin in one call.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::message::{Message, Origin};

use super::batching::{MAX_BATCH, MAX_BATCH_BYTES};
use super::fold::Chain;
use super::outcome::Outcome;
use super::ready::Ready;
use super::verdict::Envelope;

/// Jobs that wait in one lane: about a tenth of a second of a plugin that parses JSON. More would only make latency.
pub const LANE_CAPACITY: usize = 1_024;

/// A message for a chain, and what to do with what becomes of it.
pub struct Job {
    pub message: Message,
    pub origin: Arc<Origin>,
    /// Called on a worker thread, in the order of the jobs: it must not block. Dropped uncalled when the gateway stops first:
    /// the message is then not acknowledged, and its device sends it again.
    pub done: Box<dyn FnOnce(Outcome) + Send>,
}

#[derive(Clone)]
pub struct Lane(Arc<Shared>);

struct Shared {
    capacity: Arc<Semaphore>,
    mailbox: Mutex<Mailbox>,
    /// Never contended: only the thread that has the lane's turn locks it.
    chain: Mutex<Chain>,
    ready: Arc<Ready<Lane>>,
}

#[derive(Default)]
struct Mailbox {
    jobs: VecDeque<Job>,
    /// Queued, or in a thread's hands.
    scheduled: bool,
}

// === impl Lane ===

impl Lane {
    pub(super) fn new(chain: Chain, ready: Arc<Ready<Lane>>) -> Self {
        let capacity = Arc::new(Semaphore::new(LANE_CAPACITY));
        Self(Arc::new(Shared { capacity, mailbox: Mutex::default(), chain: Mutex::new(chain), ready }))
    }

    /// A permit for each job, taken before `push` and given back by `done`: this is how pressure travels back.
    pub fn capacity(&self) -> &Arc<Semaphore> {
        &self.0.capacity
    }

    /// Never blocks. After the workers were told to stop, jobs are dropped.
    pub fn push(&self, jobs: impl IntoIterator<Item = Job>) {
        if !self.0.ready.is_open() {
            return;
        }
        let mut mailbox = self.mailbox();
        mailbox.jobs.extend(jobs);
        if mailbox.jobs.is_empty() || mailbox.scheduled {
            return;
        }
        mailbox.scheduled = true;
        drop(mailbox);
        self.schedule();
    }

    /// One turn, by the thread that took the lane from the queue.
    pub(super) fn turn(&self) {
        let jobs = self.mailbox().take_turn();
        let (inputs, done): (Vec<_>, Vec<_>) = jobs.into_iter().map(Job::open).unzip();
        let outcomes = self.chain().run(inputs);
        for (done, outcome) in done.into_iter().zip(outcomes) {
            done(outcome);
        }
        let mut mailbox = self.mailbox();
        mailbox.scheduled = !mailbox.jobs.is_empty();
        if mailbox.scheduled {
            drop(mailbox);
            self.schedule();
        }
    }

    /// Drop what waits; how many there were.
    pub(super) fn clear(&self) -> usize {
        let jobs = std::mem::take(&mut self.mailbox().jobs);
        jobs.len()
    }

    fn schedule(&self) {
        if !self.0.ready.push(self.clone()) {
            self.clear();
        }
    }

    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.0.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.0.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Mailbox ===

impl Mailbox {
    fn take_turn(&mut self) -> Vec<Job> {
        let mut bytes = 0usize;
        let fits = |job: &&Job| {
            bytes = bytes.saturating_add(job.message.weight());
            bytes <= MAX_BATCH_BYTES
        };
        let count = self.jobs.iter().take(MAX_BATCH).take_while(fits).count().max(1);
        self.jobs.drain(..count.min(self.jobs.len())).collect()
    }
}

// === impl Job ===

impl Job {
    fn open(self) -> (Envelope, Box<dyn FnOnce(Outcome) + Send>) {
        (Envelope { message: self.message, origin: self.origin }, self.done)
    }
}
