//! Starting a fresh instance of a plugin, here or elsewhere.
//!
//! Most plugins start in some hundred microseconds, and then the next message has its instance at once, on the thread that it is on. One
//! that was slow to start before is restarted by a [`Starter`], after a pause that grows while its instances do not last; its lane waits
//! without a thread. So what many such plugins cost together is bounded by the threads of the starter, which no message needs.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::base::clock;
use crate::plugin::StartError;

use super::starter::Starter;

/// CPU time of a start that a lane's thread may be held for, as for a turn.
const QUICK_START: Duration = Duration::from_millis(5);

/// What lasts so long before it breaks is restarted without a pause.
const LASTING: Duration = Duration::from_secs(60);

/// As a power of two: the pause before a restart is at most eight times as long as the restart.
const LONGEST_PAUSE: u32 = 3;

/// How often a lane looks for its instance.
const LOOK: Duration = Duration::from_millis(20);

type Start<G> = Box<dyn FnMut() -> Result<G, StartError> + Send>;

pub struct Restart<G> {
    start: Arc<Mutex<Start<G>>>,
    /// None: always here.
    starter: Option<Starter>,
    /// CPU time of the slowest start so far.
    slowest: Duration,
    /// Instances in a row that did not last.
    short_lived: u32,
    /// When the present instance, or the last one, was started.
    started: Instant,
    pending: Option<Pending<G>>,
}

struct Pending<G> {
    since: Instant,
    answer: Receiver<(Result<G, StartError>, Duration)>,
}

/// How it stands with an instance that is started elsewhere.
pub enum Elsewhere<G> {
    /// It is not: it can be started here.
    No,
    Wait(Duration),
    /// After so much processor time, and so long without an instance.
    Answer {
        answer: Result<G, StartError>,
        took: Duration,
        after: Duration,
    },
}

// === impl Restart ===

impl<G: Send + 'static> Restart<G> {
    pub fn new(start: Start<G>, starter: Option<Starter>) -> Self {
        let (start, slowest, short_lived) = (Arc::new(Mutex::new(start)), Duration::ZERO, 0);
        Self { start, starter, slowest, short_lived, started: clock::now(), pending: None }
    }

    /// On this thread.
    pub fn here(&mut self) -> Result<G, StartError> {
        let (answer, took) = timed(&self.start);
        self.learn(took);
        answer
    }

    pub fn is_slow(&self) -> bool {
        self.slowest > QUICK_START && self.starter.is_some()
    }

    /// Of a plugin that has no instance: begins with one, or sees whether it has become one.
    pub fn elsewhere(&mut self) -> Elsewhere<G> {
        if let Some(pending) = &self.pending {
            let (since, answer) = (pending.since, pending.answer.try_recv());
            return match answer {
                Err(TryRecvError::Empty) => Elsewhere::Wait(LOOK),
                Err(TryRecvError::Disconnected) => self.over(since, Err(StartError::Stopping), Duration::ZERO),
                Ok((answer, took)) => self.over(since, answer, took),
            };
        }
        let Some(starter) = self.starter.clone().filter(|_| self.is_slow()) else { return Elsewhere::No };
        let (now, (sender, answer), start) = (clock::now(), mpsc::sync_channel(1), Arc::clone(&self.start));
        let due = now + self.pause(now);
        // Nobody may be there any more to take it.
        starter.run(due, move || drop(sender.send(timed(&start))));
        self.pending = Some(Pending { since: now, answer });
        Elsewhere::Wait(LOOK)
    }

    fn over(&mut self, since: Instant, answer: Result<G, StartError>, took: Duration) -> Elsewhere<G> {
        self.pending = None;
        self.learn(took);
        Elsewhere::Answer { answer, took, after: clock::since(since) }
    }

    /// In proportion to what it costs, so that a binding whose plugin needs some milliseconds hardly waits; growing, so that one that
    /// breaks each time has a small part of a thread.
    fn pause(&mut self, now: Instant) -> Duration {
        let lasted = now.saturating_duration_since(self.started) > LASTING;
        self.short_lived = if lasted { 0 } else { self.short_lived + 1 };
        let factor = 1 << self.short_lived.min(LONGEST_PAUSE);
        if lasted { Duration::ZERO } else { self.slowest.saturating_mul(factor).min(LASTING) }
    }

    fn learn(&mut self, took: Duration) {
        self.slowest = self.slowest.max(took);
        self.started = clock::now();
    }
}

fn timed<G>(start: &Mutex<Start<G>>) -> (Result<G, StartError>, Duration) {
    let began = clock::thread_cpu_time();
    // Whatever panicked ends the process.
    let mut start = start.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = start();
    (answer, clock::thread_cpu_time().saturating_sub(began))
}
