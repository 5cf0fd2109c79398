//! A lane: one binding's mailbox and its chain.
//!
//! A lane is in one place at a time: idle, queued for a thread, in a thread's hands, or waiting for a plugin that said "not
//! now". That is what keeps order without a thread of its own: jobs go through the chain one turn after the other and are
//! done in the order they were pushed.
//!
//! A turn has 64 jobs or 128 KiB, and a lane with more to do goes to the end of the queue: many busy bindings share few
//! threads fairly, and a turn is what crosses into a plugin in one call. A turn that takes long, or has to wait, is put down
//! half done (`flow`) and taken up again before anything new: the thread is for others meanwhile.
//!
//! What comes out may weigh a thousand times what went in. Places are for inputs, so a lane takes up nothing new while more than
//! [`MAX_OUTPUTS`] of its outputs wait for the spool, and takes fewer jobs in a turn when the last ones made much. That is waited for by
//! looking again: who waits for the spool is not in a hurry.
//!
//! The same for what its inputs have caused at local topics, over all stages. That waits for lanes, in a ring for this one: so a lane goes
//! on as long as somebody else may be waiting for one of its jobs ([`Job::may_wait`]).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::clock;
use crate::base::held_bytes::{HeldBytes, HeldPart};
use crate::base::wake::batch_wakes;
use crate::message::{Message, Origin};
use crate::plugin::Envelope;

use super::batching::{MAX_BATCH, MAX_BATCH_BYTES};
use super::flow::Flow;
use super::outcome::{Done, TickResult};
use super::run_queue::{Pool, RunQueue};
use super::slow_lane::{Probation, Stopwatch};
use super::stages::{Chain, Progress};

/// Jobs that should wait in one lane at most, for whoever pushes: the windows of forty devices, and some ten milliseconds of a plugin
/// that parses JSON. More would only make latency.
pub const LANE_CAPACITY: usize = 4_096;

/// Bytes of outputs of one lane that may wait for the spool before it stops.
const MAX_OUTPUTS: usize = 16 << 20;

/// The same of what its inputs have caused at local topics. Much less, because that may cause more in turn: a few inputs at a time.
const MAX_CAUSED: usize = 256 << 10;
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What a job is expected to make before anything is known.
const FIRST_GUESS: usize = 16 << 10;

/// A message for a chain, and what to do with what becomes of it.
pub struct Job {
    pub message: Message,
    pub origin: Arc<Origin>,
    /// Nothing but its device waits for it: it is no message that was republished, and leaves in no order with others.
    pub may_wait: bool,
    /// Called on a worker thread, in the order of the jobs: it must not block. Dropped uncalled when the gateway stops first:
    /// the message is then not acknowledged, and its device sends it again.
    pub done: Box<dyn FnOnce(Done) + Send>,
}

/// The clock's turn in a lane, between its jobs.
pub struct Tick {
    /// In milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// As of a [`Job`].
    pub done: Box<dyn FnOnce(TickResult) + Send>,
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
    state: Mutex<ChainState>,
    run_queue: Arc<RunQueue<Lane>>,
    is_stateful: bool,
    /// Waiting for the spool.
    outputs: HeldBytes,
    /// At local topics.
    caused: HeldBytes,
}

#[derive(Default)]
struct Mailbox {
    work: VecDeque<Work>,
    /// Anything but idle.
    scheduled: bool,
    probation: Probation,
    /// What a job of the last turn made.
    made: Option<usize>,
    /// Jobs for which others may wait.
    urgent: usize,
}

/// Where the work is done.
struct ChainState {
    chain: Chain,
    /// Put down half done.
    paused: Option<Batch>,
}

/// What one turn takes up, and who waits for it.
struct Batch {
    flow: Flow,
    waiting: Waiting,
}

/// How a turn ended.
enum End {
    /// Each of its jobs made so many bytes.
    Done { made: usize },
    /// The lane is wanted again after so much time, whatever is in its mailbox.
    Paused(Duration),
}

enum Waiting {
    Jobs(Vec<Box<dyn FnOnce(Done) + Send>>),
    Tick(Box<dyn FnOnce(TickResult) + Send>),
}

// === impl Lane ===

impl Lane {
    pub(super) fn new(chain: Chain, run_queue: Arc<RunQueue<Lane>>) -> Self {
        let is_stateful = chain.stores().next().is_some();
        let state = Mutex::new(ChainState { chain, paused: None });
        let (mailbox, outputs, caused) = (Mutex::default(), HeldBytes::default(), HeldBytes::default());
        Self(Arc::new(Shared { mailbox, state, run_queue, is_stateful, outputs, caused }))
    }

    /// Outputs of so many bytes wait for the spool, until what this gives is dropped.
    pub fn hold(&self, bytes: usize) -> HeldPart {
        self.0.outputs.hold(bytes)
    }

    /// Whether its plugins remember something: what comes out must then be written in the order it came out.
    pub fn is_stateful(&self) -> bool {
        self.0.is_stateful
    }

    /// For what an input of it is going to cause.
    pub fn hold_caused(&self) -> HeldPart {
        self.0.caused.hold(0)
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
        if !self.0.run_queue.is_open() {
            return;
        }
        let mut mailbox = self.mailbox();
        for work in work {
            mailbox.urgent += usize::from(work.is_urgent());
            mailbox.work.push_back(work);
        }
        if mailbox.work.is_empty() || mailbox.scheduled {
            return;
        }
        mailbox.scheduled = true;
        let pool = mailbox.probation.pool(clock::now());
        drop(mailbox);
        self.clear_unless(self.0.run_queue.push(self.clone(), pool));
    }

    /// One turn, by the thread that took the lane from the queue.
    pub(super) fn turn(&self, pool: Pool) {
        let stopwatch = Stopwatch::start();
        let mut state = self.state();
        if state.paused.is_none() && !self.has_room() {
            drop(state);
            return self.end_turn(stopwatch.stop(), self.wait_for_room(), pool);
        }
        let batch = state.paused.take().unwrap_or_else(|| self.mailbox().take_turn());
        match state.chain.go(batch.flow) {
            Progress::Done(done) => {
                drop(state);
                let made = done.iter().map(Done::weight).sum::<usize>() / done.len().max(1);
                batch.waiting.complete(done);
                self.end_turn(stopwatch.stop(), End::Done { made }, pool);
            }
            Progress::Paused(flow, wait) => {
                state.paused = Some(Batch { flow, ..batch });
                drop(state);
                self.end_turn(stopwatch.stop(), End::Paused(wait), pool);
            }
        }
    }

    /// All that a lane with memory has in it leaves in an order.
    fn has_room(&self) -> bool {
        let Shared { outputs, caused, is_stateful, .. } = &*self.0;
        let goes_on = || *is_stateful || self.mailbox().urgent > 0;
        outputs.total() <= MAX_OUTPUTS && (caused.total() <= MAX_CAUSED || goes_on())
    }

    /// A gateway that stops does not wait for a spool without room: what waits here has no ack, and its devices send it again.
    fn wait_for_room(&self) -> End {
        if self.0.run_queue.is_open() {
            return End::Paused(LOOK_AGAIN);
        }
        self.clear();
        End::Done { made: 0 }
    }

    /// After so much CPU time.
    fn end_turn(&self, busy: Duration, end: End, own: Pool) {
        let mut mailbox = self.mailbox();
        let next = mailbox.probation.end_turn(busy, clock::now());
        let pause = match end {
            End::Paused(wait) => Some(wait),
            End::Done { made } => {
                mailbox.made = Some(made);
                None
            }
        };
        mailbox.scheduled = pause.is_some() || !mailbox.work.is_empty();
        if mailbox.scheduled {
            drop(mailbox);
            let run_queue = &self.0.run_queue;
            self.clear_unless(match pause.unwrap_or_default() {
                Duration::ZERO => run_queue.give_back(self.clone(), next, own),
                wait => run_queue.push_at(self.clone(), next, clock::now() + wait),
            });
        }
    }

    /// Drop what waits; how many there were.
    pub(super) fn clear(&self) -> usize {
        let work = self.mailbox().take_all();
        let jobs = work.iter().filter(|work| matches!(work, Work::Job(_))).count();
        // In a thread's hands there is nothing to drop, and what it puts down then is not taken up again.
        let paused = self.0.state.try_lock().ok().and_then(|mut state| state.paused.take());
        jobs + paused.map_or(0, |batch| batch.waiting.jobs())
    }

    /// A lane that no thread will take, because the gateway stops, drops what waits.
    fn clear_unless(&self, is_queued: bool) {
        if !is_queued {
            self.clear();
        }
    }

    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.0.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, ChainState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Work ===

impl Work {
    fn is_urgent(&self) -> bool {
        matches!(self, Self::Job(job) if !job.may_wait)
    }
}

// === impl Mailbox ===

impl Mailbox {
    fn take_all(&mut self) -> VecDeque<Work> {
        self.urgent = 0;
        std::mem::take(&mut self.work)
    }

    /// A tick, or the jobs before the next one.
    fn take_turn(&mut self) -> Batch {
        let (mut jobs, mut bytes) = (Vec::new(), 0usize);
        let made = self.made.unwrap_or(FIRST_GUESS);
        while let Some(work) = self.work.pop_front() {
            match work {
                Work::Tick(tick) if jobs.is_empty() => return Batch::of_clock(tick),
                Work::Job(job) if jobs.is_empty() || fits(jobs.len(), bytes, made, &job) => {
                    bytes = bytes.saturating_add(job.message.weight().max(made));
                    self.urgent -= usize::from(!job.may_wait);
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

fn fits(jobs: usize, bytes: usize, made: usize, next: &Job) -> bool {
    jobs < MAX_BATCH && bytes.saturating_add(next.message.weight().max(made)) <= MAX_BATCH_BYTES
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

    fn complete(self, done: Vec<Done>) {
        let _turn = batch_wakes();
        match self {
            Self::Jobs(jobs) => jobs.into_iter().zip(done).for_each(|(job, done)| job(done)),
            Self::Tick(tick) => tick(done.into_iter().collect()),
        }
    }
}
