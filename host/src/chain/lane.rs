//! A lane: one binding's mailbox and its chain.
//!
//! A lane is in one place at a time: idle, queued for a thread, in a thread's hands, or waiting for a plugin that said "not
//! now". That is what keeps order without a thread of its own: jobs go through the chain one turn after the other and are
//! done in the order in which they were taken up, those of one client in the order in which they were pushed.
//!
//! A turn has 64 jobs or 128 KiB, and a lane with more to do goes to the end of the queue: many busy bindings share few
//! threads fairly, and a turn is what crosses into a plugin in one call. A turn that takes long, or has to wait, is put down
//! half done (`flow`) and taken up again before anything new: the thread is for others meanwhile. The next one has fewer jobs
//! (`turn_size`), and what does not go with the next turn waits for each client by itself (`turns`).
//!
//! What comes out may weigh a thousand times what went in. Places are for inputs, so a lane takes up nothing new while more than
//! [`MAX_OUTPUTS`] of its outputs wait for the spool, and takes fewer jobs in a turn when the last ones made much. That is waited for by
//! looking again: who waits for the spool is not in a hurry.
//!
//! The same for what its inputs have caused at local topics, over all stages. That waits for lanes, in a ring for this one: so a lane goes
//! on as long as somebody else may be waiting for one of its jobs ([`Job::may_wait`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::base::clock;
use crate::base::held_bytes::{HeldBytes, HeldPart};
use crate::base::wake::batch_wakes;
use crate::plugin::Envelope;

use super::batching::MAX_BATCH_BYTES;
use super::flow::Flow;
use super::job::{Finish, Job, Taken, Tick, Work};
use super::outcome::{Done, TickResult};
use super::redacts::Redacts;
use super::run_queue::{Pool, RunQueue};
use super::slow_lane::{Probation, Stopwatch};
use super::stages::{Chain, Progress};
use super::turn_size::TurnSize;
use super::turns::Turns;

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

#[derive(Clone)]
pub struct Lane(Arc<Shared>);

struct Shared {
    mailbox: Mutex<Mailbox>,
    /// Never contended: only the thread that has the lane's turn locks it.
    state: Mutex<ChainState>,
    run_queue: Arc<RunQueue<Lane>>,
    is_stateful: bool,
    redacts: Redacts,
    /// Waiting for the spool.
    outputs: HeldBytes,
    /// At local topics.
    caused: HeldBytes,
}

#[derive(Default)]
struct Mailbox {
    work: Turns,
    /// Anything but idle.
    scheduled: bool,
    probation: Probation,
    /// Jobs that a turn takes up.
    size: TurnSize,
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
    /// CPU time that it has taken so far.
    spent: Duration,
}

/// How a turn ended.
enum End {
    /// It had so many jobs, each of which made so many bytes; what it took before it was put down.
    Done { jobs: usize, made: usize, spent: Duration },
    /// The lane is wanted again after so much time, whatever is in its mailbox.
    Paused(Duration),
}

enum Waiting {
    Jobs(Vec<(Finish<Done>, Taken)>),
    Tick(Finish<TickResult>, Taken),
}

// === impl Lane ===

impl Lane {
    pub(super) fn new(chain: Chain, run_queue: Arc<RunQueue<Lane>>) -> Self {
        let (is_stateful, redacts) = (chain.stores().next().is_some(), chain.redacts().clone());
        let state = Mutex::new(ChainState { chain, paused: None });
        let (mailbox, outputs, caused) = (Mutex::default(), HeldBytes::default(), HeldBytes::default());
        Self(Arc::new(Shared { mailbox, state, run_queue, is_stateful, redacts, outputs, caused }))
    }

    /// Outputs of so many bytes wait for the spool, until what this gives is dropped.
    pub fn hold(&self, bytes: usize) -> HeldPart {
        self.0.outputs.hold(bytes)
    }

    /// Whether its plugins remember something: what comes out must then be written in the order it came out.
    pub fn is_stateful(&self) -> bool {
        self.0.is_stateful
    }

    /// Whether a plugin of it must not be left out: who looks at its messages sees nothing of them before that.
    pub fn redacts(&self) -> bool {
        self.0.redacts.get()
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
            let (ahead, burst) = (mailbox.size.jobs(), mailbox.size.of_client());
            mailbox.work.push(work, ahead, burst);
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
        let Batch { flow, waiting, spent } = state.paused.take().unwrap_or_else(|| self.mailbox().take_turn());
        match state.chain.go(flow) {
            Progress::Done(done) => {
                drop(state);
                let jobs = waiting.jobs();
                let made = done.iter().map(Done::weight).sum::<usize>() / done.len().max(1);
                waiting.complete(done);
                self.end_turn(stopwatch.stop(), End::Done { jobs, made, spent }, pool);
            }
            Progress::Paused(flow, wait) => {
                let busy = stopwatch.stop();
                state.paused = Some(Batch { flow, waiting, spent: spent.saturating_add(busy) });
                drop(state);
                self.end_turn(busy, End::Paused(wait), pool);
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
        End::Done { jobs: 0, made: 0, spent: Duration::ZERO }
    }

    /// After so much CPU time.
    fn end_turn(&self, busy: Duration, end: End, own: Pool) {
        let mut mailbox = self.mailbox();
        let whole = mailbox.size.of_whole_turn(busy);
        let next = mailbox.probation.end_turn(whole, clock::now());
        let pause = match end {
            End::Paused(wait) => Some(wait),
            End::Done { jobs, made, spent } => {
                mailbox.size.end_turn(jobs, spent.saturating_add(busy));
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
        let mut work = self.mailbox().take_all();
        let waiting = std::iter::from_fn(|| work.pop_if(|_| true));
        let jobs = waiting.filter(|(work, _)| matches!(work, Work::Job(_))).count();
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

// === impl Mailbox ===

impl Mailbox {
    fn take_all(&mut self) -> Turns {
        self.urgent = 0;
        std::mem::take(&mut self.work)
    }

    /// A tick, or the jobs before the next one.
    fn take_turn(&mut self) -> Batch {
        let (mut jobs, mut bytes) = (Vec::new(), 0usize);
        let (made, most) = (self.made.unwrap_or(FIRST_GUESS), self.size.jobs());
        let fits = |work: &Work, jobs: usize, bytes: usize| match work {
            _ if jobs == 0 => true,
            Work::Job(job) => jobs < most && bytes.saturating_add(job.message.weight().max(made)) <= MAX_BATCH_BYTES,
            Work::Tick(_) => false,
        };
        while let Some((work, taken)) = self.work.pop_if(|work| fits(work, jobs.len(), bytes)) {
            match work {
                Work::Tick(tick) => return Batch::of_clock(tick, taken),
                Work::Job(job) => {
                    bytes = bytes.saturating_add(job.message.weight().max(made));
                    self.urgent -= usize::from(!job.may_wait);
                    jobs.push((job, taken));
                }
            }
        }
        Batch::of_jobs(jobs)
    }
}

// === impl Batch ===

impl Batch {
    fn of_jobs(jobs: Vec<(Job, Taken)>) -> Self {
        let open = |(job, taken): (Job, Taken)| {
            let Job { message, origin, done, .. } = job;
            (Envelope { message, origin }, (done, taken))
        };
        let (inputs, done): (Vec<_>, _) = jobs.into_iter().map(open).unzip();
        Self { flow: Flow::new(inputs), waiting: Waiting::Jobs(done), spent: Duration::ZERO }
    }

    fn of_clock(tick: Tick, taken: Taken) -> Self {
        let waiting = Waiting::Tick(tick.done, taken);
        Self { flow: Flow::of_clock(tick.now_ms), waiting, spent: Duration::ZERO }
    }
}

// === impl Waiting ===

impl Waiting {
    fn jobs(&self) -> usize {
        match self {
            Self::Jobs(jobs) => jobs.len(),
            Self::Tick(..) => 0,
        }
    }

    fn complete(self, done: Vec<Done>) {
        let _turn = batch_wakes();
        match self {
            Self::Jobs(jobs) => {
                jobs.into_iter().zip(done).for_each(|((job, taken), done)| job.finish(Done { taken, ..done }));
            }
            Self::Tick(tick, taken) => tick.finish(TickResult { taken, ..done.into_iter().collect() }),
        }
    }
}
