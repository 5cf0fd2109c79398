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
use super::outcome::{Done, Ticked};
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
    pub done: Box<dyn FnOnce(Done) + Send>,
}

/// The clock's turn in a lane, between its jobs.
pub struct Tick {
    /// In milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// As of a [`Job`].
    pub done: Box<dyn FnOnce(Ticked) + Send>,
}

/// What waits in a lane, in the order it came.
enum Work {
    Job(Job),
    Tick(Tick),
}

#[derive(Clone)]
pub struct Lane(Arc<Shared>);

struct Shared {
    capacity: Arc<Semaphore>,
    mailbox: Mutex<Mailbox>,
    /// Never contended: only the thread that has the lane's turn locks it.
    chain: Mutex<Chain>,
    ready: Arc<Ready<Lane>>,
    is_stateful: bool,
}

#[derive(Default)]
struct Mailbox {
    work: VecDeque<Work>,
    /// Queued, or in a thread's hands.
    scheduled: bool,
}

// === impl Lane ===

impl Lane {
    pub(super) fn new(chain: Chain, ready: Arc<Ready<Lane>>) -> Self {
        let capacity = Arc::new(Semaphore::new(LANE_CAPACITY));
        let is_stateful = chain.stores().next().is_some();
        Self(Arc::new(Shared { capacity, mailbox: Mutex::default(), chain: Mutex::new(chain), ready, is_stateful }))
    }

    /// A permit for each job, taken before `push` and given back by `done`: this is how pressure travels back.
    pub fn capacity(&self) -> &Arc<Semaphore> {
        &self.0.capacity
    }

    /// Whether its plugins remember something: what comes out must then be written in the order it came out.
    pub fn is_stateful(&self) -> bool {
        self.0.is_stateful
    }

    /// Never blocks. After the workers were told to stop, jobs are dropped.
    pub fn push(&self, jobs: impl IntoIterator<Item = Job>) {
        self.put(jobs.into_iter().map(Work::Job));
    }

    /// The same for the clock, which needs no permit: whoever ticks waits for `done`.
    pub fn tick(&self, tick: Tick) {
        self.put([Work::Tick(tick)]);
    }

    /// One turn, by the thread that took the lane from the queue.
    pub(super) fn turn(&self) {
        let (jobs, tick) = self.mailbox().take_turn();
        self.run(jobs);
        if let Some(Tick { now_ms, done }) = tick {
            let ticked = self.chain().tick(now_ms);
            done(ticked);
        }
        let mut mailbox = self.mailbox();
        mailbox.scheduled = !mailbox.work.is_empty();
        if mailbox.scheduled {
            drop(mailbox);
            self.schedule();
        }
    }

    fn run(&self, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let (inputs, done): (Vec<_>, Vec<_>) = jobs.into_iter().map(Job::open).unzip();
        let outcomes = self.chain().run(inputs);
        for (done, outcome) in done.into_iter().zip(outcomes) {
            done(outcome);
        }
    }

    fn put(&self, work: impl IntoIterator<Item = Work>) {
        if !self.0.ready.is_open() {
            return;
        }
        let mut mailbox = self.mailbox();
        mailbox.work.extend(work);
        if mailbox.work.is_empty() || mailbox.scheduled {
            return;
        }
        mailbox.scheduled = true;
        drop(mailbox);
        self.schedule();
    }

    /// Drop what waits; how many there were.
    pub(super) fn clear(&self) -> usize {
        let work = std::mem::take(&mut self.mailbox().work);
        work.iter().filter(|work| matches!(work, Work::Job(_))).count()
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
    /// The jobs at the front, and the tick behind them when it is reached.
    fn take_turn(&mut self) -> (Vec<Job>, Option<Tick>) {
        let (mut jobs, mut bytes) = (Vec::new(), 0usize);
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Tick(tick) => return (jobs, Some(tick)),
                Work::Job(job) => {
                    bytes = bytes.saturating_add(job.message.weight());
                    let fits = jobs.len() < MAX_BATCH && bytes <= MAX_BATCH_BYTES;
                    if !fits && !jobs.is_empty() {
                        self.work.push_front(Work::Job(job));
                        break;
                    }
                    jobs.push(job);
                }
            }
        }
        (jobs, None)
    }
}

// === impl Job ===

impl Job {
    fn open(self) -> (Envelope, Box<dyn FnOnce(Done) + Send>) {
        (Envelope { message: self.message, origin: self.origin }, self.done)
    }
}
