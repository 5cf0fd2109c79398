//! The lanes that have work, and the threads that wait for one.
//!
//! A queue behind a mutex, with a condition variable: a thread takes a lane for a turn of up to 64 messages, so the lock is
//! touched once in many microseconds. Work stealing would save what is not spent.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub struct Ready<T> {
    state: Mutex<State<T>>,
    /// Something to do, or to stop.
    work: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

struct State<T> {
    queue: VecDeque<T>,
    phase: Phase,
    /// Threads that have not ended.
    threads: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Nothing new; what is queued is finished.
    Draining,
    Stopped,
}

// === impl Ready ===

impl<T> Ready<T> {
    pub fn new(threads: usize) -> Self {
        let state = State { queue: VecDeque::new(), phase: Phase::Open, threads };
        Self { state: Mutex::new(state), work: Condvar::new(), ended: Condvar::new() }
    }

    pub fn is_open(&self) -> bool {
        self.lock().phase == Phase::Open
    }

    /// Queue one that has become ready; `false` when no thread will ever take it.
    pub fn push(&self, ready: T) -> bool {
        let mut state = self.lock();
        // While draining, a lane with work left comes back here after its turn.
        let accepted = state.phase != Phase::Stopped && state.threads > 0;
        if accepted {
            state.queue.push_back(ready);
            drop(state);
            self.work.notify_one();
        }
        accepted
    }

    /// The next one; waits for it. `None`: stop.
    pub fn next(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.phase == Phase::Stopped {
                return None;
            }
            let next = state.queue.pop_front();
            if next.is_some() || state.phase == Phase::Draining {
                return next;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A thread that called `next` calls it no more.
    pub fn end_thread(&self) {
        let mut state = self.lock();
        state.threads = state.threads.saturating_sub(1);
        drop(state);
        self.ended.notify_all();
    }

    /// Take nothing new, and wait until every thread has finished what there was, but no longer than `patience`.
    pub fn drain(&self, patience: Duration) {
        let mut state = self.enter(Phase::Draining);
        let deadline = Instant::now() + patience;
        while state.threads > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.ended.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Threads end after their present turn.
    pub fn stop(&self) {
        self.enter(Phase::Stopped).queue.clear();
    }

    fn enter(&self, phase: Phase) -> MutexGuard<'_, State<T>> {
        let mut state = self.lock();
        state.phase = phase;
        self.work.notify_all();
        state
    }

    /// A thread that panicked with the lock left a whole state: every change here is one step.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
