//! A lane: one binding's mailbox and its chain.
//!
//! A lane is in one place at a time: idle, queued for a thread, in a thread's hands, or waiting for a plugin that said "not
//! now". That is what keeps order without a thread of its own: jobs go through the chain one turn after the other and are
//! done in the order they were pushed.
//!
//! A turn has 64 jobs or 128 KiB, and a lane with more to do goes to the end of the queue: many busy bindings share few
//! threads fairly, and a turn is what crosses into a plugin in one call. A turn that takes long, or has to wait, is put down
//! half done (`flow`) and taken up again before anything new: the thread is for others meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::control::clock;
use crate::control::cork::cork;
use crate::message::{Message, Origin};

use super::batching::{MAX_BATCH, MAX_BATCH_BYTES};
use super::flow::Flow;
use super::fold::{Chain, Progress};
use super::outcome::{Done, Ticked};
use super::ready::{Pool, Ready};
use super::standing::{Standing, Stopwatch};
use super::verdict::Envelope;

/// Jobs that should wait in one lane at most, for whoever pushes: the windows of forty devices, and some ten milliseconds of a plugin
/// that parses JSON. More would only make latency.
pub const LANE_CAPACITY: usize = 4_096;

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
    mailbox: Mutex<Mailbox>,
    /// Never contended: only the thread that has the lane's turn locks it.
    bench: Mutex<Bench>,
    ready: Arc<Ready<Lane>>,
    is_stateful: bool,
}

#[derive(Default)]
struct Mailbox {
    work: VecDeque<Work>,
    /// Anything but idle.
    scheduled: bool,
    standing: Standing,
}

/// Where the work is done.
struct Bench {
    chain: Chain,
    /// Put down half done.
    paused: Option<Batch>,
}

/// What one turn takes up, and who waits for it.
struct Batch {
    flow: Flow,
    waiting: Waiting,
}

enum Waiting {
    Jobs(Vec<Box<dyn FnOnce(Done) + Send>>),
    Tick(Box<dyn FnOnce(Ticked) + Send>),
}

// === impl Lane ===

impl Lane {
    pub(super) fn new(chain: Chain, ready: Arc<Ready<Lane>>) -> Self {
        let is_stateful = chain.stores().next().is_some();
        let bench = Mutex::new(Bench { chain, paused: None });
        Self(Arc::new(Shared { mailbox: Mutex::default(), bench, ready, is_stateful }))
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
        let slow = mailbox.standing.is_slow(clock::now());
        drop(mailbox);
        self.scheduled(self.0.ready.push(self.clone(), slow));
    }

    /// One turn, by the thread that took the lane from the queue.
    pub(super) fn turn(&self, pool: Pool) {
        let stopwatch = Stopwatch::start();
        let mut bench = self.bench();
        let batch = bench.paused.take().unwrap_or_else(|| self.mailbox().take_turn());
        match bench.chain.go(batch.flow) {
            Progress::Done(done) => {
                drop(bench);
                batch.waiting.hear(done);
                self.end_turn(stopwatch.stop(), None, pool);
            }
            Progress::Paused(flow, wait) => {
                bench.paused = Some(Batch { flow, ..batch });
                drop(bench);
                self.end_turn(stopwatch.stop(), Some(wait), pool);
            }
        }
    }

    /// After so much CPU time; with a pause, the lane is wanted again whatever is in its mailbox.
    fn end_turn(&self, busy: Duration, pause: Option<Duration>, pool: Pool) {
        let mut mailbox = self.mailbox();
        let slow = mailbox.standing.after(busy, clock::now());
        mailbox.scheduled = pause.is_some() || !mailbox.work.is_empty();
        if mailbox.scheduled {
            drop(mailbox);
            let ready = &self.0.ready;
            self.scheduled(match pause.unwrap_or_default() {
                Duration::ZERO => ready.give_back(self.clone(), slow, pool),
                wait => ready.push_at(self.clone(), slow, clock::now() + wait),
            });
        }
    }

    /// Drop what waits; how many there were.
    pub(super) fn clear(&self) -> usize {
        let work = std::mem::take(&mut self.mailbox().work);
        let jobs = work.iter().filter(|work| matches!(work, Work::Job(_))).count();
        // In a thread's hands there is nothing to drop, and what it puts down then is not taken up again.
        let paused = self.0.bench.try_lock().ok().and_then(|mut bench| bench.paused.take());
        jobs + paused.map_or(0, |batch| batch.waiting.jobs())
    }

    /// Or not, because the gateway stops.
    fn scheduled(&self, is_accepted: bool) {
        if !is_accepted {
            self.clear();
        }
    }

    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.0.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bench(&self) -> MutexGuard<'_, Bench> {
        self.0.bench.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Mailbox ===

impl Mailbox {
    /// A tick, or the jobs before the next one.
    fn take_turn(&mut self) -> Batch {
        let (mut jobs, mut bytes) = (Vec::new(), 0usize);
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Tick(tick) if jobs.is_empty() => return Batch::of_clock(tick),
                Work::Job(job) if jobs.is_empty() || fits(jobs.len(), bytes, &job) => {
                    bytes = bytes.saturating_add(job.message.weight());
                    jobs.push(job);
                }
                next => {
                    self.work.push_front(next);
                    break;
                }
            }
        }
        Batch::of_jobs(jobs)
    }
}

fn fits(jobs: usize, bytes: usize, next: &Job) -> bool {
    jobs < MAX_BATCH && bytes.saturating_add(next.message.weight()) <= MAX_BATCH_BYTES
}

// === impl Batch ===

impl Batch {
    fn of_jobs(jobs: Vec<Job>) -> Self {
        let open = |job: Job| (Envelope { message: job.message, origin: job.origin }, job.done);
        let (inputs, done): (Vec<_>, _) = jobs.into_iter().map(open).unzip();
        Self { flow: Flow::new(inputs), waiting: Waiting::Jobs(done) }
    }

    fn of_clock(tick: Tick) -> Self {
        Self { flow: Flow::of_clock(tick.now_ms), waiting: Waiting::Tick(tick.done) }
    }
}

// === impl Waiting ===

impl Waiting {
    fn jobs(&self) -> usize {
        match self {
            Self::Jobs(jobs) => jobs.len(),
            Self::Tick(_) => 0,
        }
    }

    fn hear(self, done: Vec<Done>) {
        let _turn = cork();
        match self {
            Self::Jobs(jobs) => jobs.into_iter().zip(done).for_each(|(job, done)| job(done)),
            Self::Tick(tick) => tick(done.into_iter().collect()),
        }
    }
}
