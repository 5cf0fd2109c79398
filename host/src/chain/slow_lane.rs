//! Whether a lane is quick, or shares the threads of the slow ones.
//!
//! A deadline bounds what one call costs. It does not bound what *many* spinning plugins cost together: with as many of them
//! as threads, everybody waits for a deadline, again and again. So a lane whose turn took long is on **probation**: slow lanes
//! share threads of their own (`workers`), which the kernel runs after the others. Probation lasts a hundred times as long as
//! the turn did, so that a lane which behaves and misbehaves by turns has at most a hundredth of a good thread.
//!
//! What counts is the CPU time of the thread, not the clock on the wall: on a machine that others keep busy, an honest lane
//! waits for the processor, and must not be punished for its neighbours.
//!
//! Not chosen: a thread for each slow plugin (ten thousand bindings must not become ten thousand threads), or taking turns by
//! the time used (a call cannot be interrupted for another, so the threads still have to be kept free).

use std::time::{Duration, Instant};

use super::run_queue::Pool;
use crate::base::clock::thread_cpu_time;

/// CPU time of a turn that is still quick: ten times what a turn of 64 messages through a JSON plugin takes.
pub(super) const QUICK: Duration = Duration::from_millis(5);

const PENALTY: u32 = 100;

#[derive(Debug, Default)]
pub struct Probation {
    until: Option<Instant>,
}

/// The CPU time of this thread when a turn began.
#[derive(Clone, Copy)]
pub struct Stopwatch(Duration);

// === impl Probation ===

impl Probation {
    /// A turn has ended, after so much CPU time. Whose threads the next one is for.
    pub fn end_turn(&mut self, turn: Duration, now: Instant) -> Pool {
        if turn > QUICK {
            self.until = now.checked_add(turn.saturating_mul(PENALTY));
        }
        self.pool(now)
    }

    pub fn pool(&self, now: Instant) -> Pool {
        if self.until.is_some_and(|until| now < until) { Pool::Slow } else { Pool::Quick }
    }
}

// === impl Stopwatch ===

impl Stopwatch {
    pub fn start() -> Self {
        Self(thread_cpu_time())
    }

    pub fn stop(self) -> Duration {
        thread_cpu_time().saturating_sub(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_turn_is_paid_for_a_hundredfold_and_then_forgotten() {
        let (mut probation, now) = (Probation::default(), Instant::now());
        assert_eq!(probation.end_turn(QUICK, now), Pool::Quick);
        assert_eq!(probation.end_turn(Duration::from_millis(50), now), Pool::Slow);
        assert_eq!(probation.end_turn(QUICK, now + Duration::from_millis(4_999)), Pool::Slow);
        assert_eq!(probation.end_turn(QUICK, now + Duration::from_millis(5_000)), Pool::Quick);
    }

    #[test]
    fn waiting_is_not_working() {
        let stopwatch = Stopwatch::start();
        std::thread::yield_now();
        let idle = stopwatch.stop();
        let stopwatch = Stopwatch::start();
        let busy = Instant::now();
        while stopwatch.stop() <= idle {
            assert!(busy.elapsed() < Duration::from_secs(30), "the clock of this thread stands still");
        }
    }
}
