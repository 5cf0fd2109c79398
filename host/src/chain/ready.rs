//! The lanes that have work, those that will have some later, and the threads that wait for one.
//!
//! A queue behind a mutex, with a condition variable: a thread takes a lane for a turn of up to 64 messages, so the lock is
//! touched once in many microseconds. Work stealing would save what is not spent.
//!
//! Slow lanes (`standing`) have a queue of their own, which at most half of the threads serve at a time. Between the two
//! queues, who came first is served first. A lane that waits for an attempt is in neither: it is among `later`, and the
//! threads that wait for work wait no longer than for the first of those.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
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
    quick: VecDeque<Entry<T>>,
    slow: VecDeque<Entry<T>>,
    later: BinaryHeap<Reverse<Later<T>>>,
    /// Of the next entry.
    number: u64,
    /// Threads that have a slow lane, and how many may.
    on_slow: usize,
    most_on_slow: usize,
    phase: Phase,
    /// Threads that have not ended.
    threads: usize,
}

struct Entry<T> {
    number: u64,
    item: T,
    slow: bool,
}

struct Later<T> {
    due: Instant,
    entry: Entry<T>,
}

/// One to serve. Tell [`Ready::next`] of it when that is done.
pub struct Taken<T> {
    pub item: T,
    pub turn: Turn,
}

/// What a thread was at, before it asks for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    None,
    Quick,
    Slow,
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
        let state = State {
            quick: VecDeque::new(),
            slow: VecDeque::new(),
            later: BinaryHeap::new(),
            number: 0,
            on_slow: 0,
            most_on_slow: (threads / 2).max(1),
            phase: Phase::Open,
            threads,
        };
        Self { state: Mutex::new(state), work: Condvar::new(), ended: Condvar::new() }
    }

    pub fn is_open(&self) -> bool {
        self.lock().phase == Phase::Open
    }

    /// Queue one that has become ready; `false` when no thread will ever take it.
    pub fn push(&self, item: T, slow: bool) -> bool {
        self.accept(item, slow, None)
    }

    /// Queue one that becomes ready later.
    pub fn push_at(&self, item: T, slow: bool, due: Instant) -> bool {
        self.accept(item, slow, Some(due))
    }

    fn accept(&self, item: T, slow: bool, due: Option<Instant>) -> bool {
        let mut state = self.lock();
        // While draining, a lane with work left comes back here after its turn.
        let accepted = state.phase != Phase::Stopped && state.threads > 0;
        if accepted {
            state.put(item, slow, due);
            drop(state);
            self.work.notify_one();
        }
        accepted
    }

    /// The next one; waits for it. `None`: stop.
    pub fn next(&self, last: Turn) -> Option<Taken<T>> {
        let mut state = self.lock();
        if last == Turn::Slow {
            state.on_slow = state.on_slow.saturating_sub(1);
            // A thread that passed this queue by while it was full.
            if !state.slow.is_empty() {
                self.work.notify_one();
            }
        }
        loop {
            if state.phase == Phase::Stopped {
                return None;
            }
            let now = Instant::now();
            state.mature(now);
            if let Some(entry) = state.take() {
                let turn = if entry.slow { Turn::Slow } else { Turn::Quick };
                return Some(Taken { item: entry.item, turn });
            }
            if state.phase == Phase::Draining && state.is_empty() {
                return None;
            }
            state = match state.later.peek() {
                Some(Reverse(first)) => {
                    let wait = first.due.saturating_duration_since(now);
                    self.work.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
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
        let mut state = self.enter(Phase::Stopped);
        let left =
            (std::mem::take(&mut state.quick), std::mem::take(&mut state.slow), std::mem::take(&mut state.later));
        drop(state);
        // Outside of the lock: the last handle of a lane takes its plugins with it.
        drop(left);
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

// === impl State ===

impl<T> State<T> {
    fn put(&mut self, item: T, slow: bool, due: Option<Instant>) {
        let entry = Entry { number: self.number, item, slow };
        self.number += 1;
        match due {
            Some(due) => self.later.push(Reverse(Later { due, entry })),
            None => self.queue(entry),
        }
    }

    fn queue(&mut self, entry: Entry<T>) {
        let queue = if entry.slow { &mut self.slow } else { &mut self.quick };
        queue.push_back(entry);
    }

    /// Queues those whose time has come.
    fn mature(&mut self, now: Instant) {
        while self.later.peek().is_some_and(|Reverse(first)| first.due <= now) {
            let Some(Reverse(first)) = self.later.pop() else { return };
            // Its place is that of now: it has waited for a plugin and not for a thread.
            self.put(first.entry.item, first.entry.slow, None);
        }
    }

    fn take(&mut self) -> Option<Entry<T>> {
        let slow = self.slow.front().filter(|_| self.on_slow < self.most_on_slow).map(|entry| entry.number);
        let quick = self.quick.front().map(|entry| entry.number);
        match (quick, slow) {
            (_, Some(slow)) if quick.is_none_or(|quick| slow < quick) => {
                self.on_slow += 1;
                self.slow.pop_front()
            }
            _ => self.quick.pop_front(),
        }
    }

    fn is_empty(&self) -> bool {
        self.quick.is_empty() && self.slow.is_empty() && self.later.is_empty()
    }
}

// === impl Later ===

impl<T> Ord for Later<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.entry.number).cmp(&(other.due, other.entry.number))
    }
}

impl<T> PartialOrd for Later<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Later<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Later<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(ready: &Ready<&'static str>) -> &'static str {
        ready.next(Turn::None).unwrap().item
    }

    #[test]
    fn slow_ones_have_half_of_the_threads_and_no_more_while_quick_ones_pass_them() {
        let ready = Ready::new(4);
        for slow in ["a", "b", "c"] {
            ready.push(slow, true);
        }
        ready.push("quick", false);
        assert_eq!([next(&ready), next(&ready), next(&ready)], ["a", "b", "quick"]);
        assert_eq!(ready.next(Turn::Slow).unwrap().item, "c", "a slow turn has ended");
    }

    #[test]
    fn with_room_for_both_who_came_first_is_first() {
        let ready = Ready::new(4);
        for (item, slow) in [("1", false), ("2", true), ("3", false), ("4", true)] {
            ready.push(item, slow);
        }
        assert_eq!([next(&ready), next(&ready), next(&ready), next(&ready)], ["1", "2", "3", "4"]);
    }

    #[test]
    fn what_is_due_later_comes_when_it_is_due_and_in_that_order() {
        let ready = Ready::new(1);
        let now = Instant::now();
        ready.push_at("third", false, now + Duration::from_millis(20));
        ready.push_at("second", false, now + Duration::from_millis(10));
        ready.push("first", false);
        assert_eq!([next(&ready), next(&ready), next(&ready)], ["first", "second", "third"]);
        assert!(now.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn draining_waits_for_what_is_due_later_and_stopping_does_not() {
        let ready = Ready::new(1);
        ready.push_at("later", false, Instant::now() + Duration::from_millis(10));
        ready.drain(Duration::ZERO);
        assert_eq!(next(&ready), "later");
        assert!(ready.next(Turn::Quick).is_none());
        ready.push_at("never", false, Instant::now() + Duration::from_secs(3_600));
        ready.stop();
        assert!(ready.next(Turn::Quick).is_none());
    }
}
