//! The lanes that have work, those that will have some later, and the threads that wait for one.
//!
//! A queue behind a mutex, with a condition variable: a thread takes a lane for a turn of up to 64 messages, so the lock is
//! touched once in many microseconds. Work stealing would save what is not spent.
//!
//! Slow lanes (`slow_lane`) have a queue and threads of their own. A lane that waits for an attempt is in neither queue: it is
//! among `later`, and the threads that wait for work wait no longer than for the first of those.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::base::clock;
use crate::base::wake::{self, Wake};

pub struct RunQueue<T> {
    state: Mutex<State<T>>,
    /// The phase, for those who only ask.
    is_open: AtomicBool,
    /// Something to do, or to stop; for each pool.
    quick_work: Condvar,
    slow_work: Condvar,
    /// A thread has ended.
    ended: Condvar,
    /// The same as `quick_work` and `slow_work`, for who is no thread.
    #[cfg(test)]
    pub(super) stirred: tokio::sync::Notify,
}

struct State<T> {
    quick: VecDeque<Entry<T>>,
    slow: VecDeque<Entry<T>>,
    later: BinaryHeap<Reverse<Later<T>>>,
    /// Of the next entry.
    number: u64,
    phase: Phase,
    /// Threads that have not ended.
    threads: usize,
    /// Those of each pool that wait for work. To call where nobody sleeps is a system call for nothing.
    quick_sleepers: usize,
    slow_sleepers: usize,
}

struct Entry<T> {
    number: u64,
    item: T,
    pool: Pool,
}

struct Later<T> {
    due: Instant,
    entry: Entry<T>,
}

/// Which lanes a thread serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
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

// === impl RunQueue ===

impl<T: Send + 'static> RunQueue<T> {
    pub fn new(threads: usize) -> Self {
        let state = State {
            quick: VecDeque::new(),
            slow: VecDeque::new(),
            later: BinaryHeap::new(),
            number: 0,
            phase: Phase::Open,
            threads,
            quick_sleepers: 0,
            slow_sleepers: 0,
        };
        Self {
            state: Mutex::new(state),
            is_open: AtomicBool::new(true),
            quick_work: Condvar::new(),
            slow_work: Condvar::new(),
            ended: Condvar::new(),
            #[cfg(test)]
            stirred: tokio::sync::Notify::new(),
        }
    }

    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Queue one that has become ready; `false` when no thread will ever take it. A thread is woken when the caller's turn is over
    /// ([`wake`]).
    pub fn push(self: &Arc<Self>, item: T, to: Pool) -> bool {
        let accepted = self.accept(item, to, None);
        if accepted {
            wake::wake_once(self);
        }
        accepted
    }

    /// The same by a thread of the pool `own` that is about to ask for its next one: it needs nobody to be woken for its own pool.
    pub fn give_back(self: &Arc<Self>, item: T, to: Pool, own: Pool) -> bool {
        if to == own { self.accept(item, to, None) } else { self.push(item, to) }
    }

    /// Queue one that becomes ready later.
    pub fn push_at(&self, item: T, to: Pool, due: Instant) -> bool {
        let accepted = self.accept(item, to, Some(due));
        // Who sleeps does not know that there is something to wait for.
        self.work(to).notify_one();
        accepted
    }

    fn accept(&self, item: T, to: Pool, due: Option<Instant>) -> bool {
        let mut state = self.lock();
        // While draining, a lane with work left comes back here after its turn.
        let accepted = state.phase != Phase::Stopped && state.threads > 0;
        if accepted {
            state.put(item, to, due);
            #[cfg(test)]
            self.stirred.notify_one();
            if state.phase == Phase::Draining {
                // The pool that it is for may have ended already.
                self.notify_all();
            }
        }
        accepted
    }

    /// The next one for a thread of this pool; waits for it. `None`: stop.
    pub fn next(&self, pool: Pool) -> Option<T> {
        let work = self.work(pool);
        let mut state = self.lock();
        loop {
            if state.phase == Phase::Stopped {
                return None;
            }
            let now = clock::now();
            if state.mature(now) {
                // Some of them may be for the other pool.
                self.notify_all();
            }
            if let Some(entry) = state.take(pool) {
                // Somebody has to watch the clock while this thread is busy.
                if !state.later.is_empty() && *state.sleepers(pool) > 0 {
                    work.notify_one();
                }
                return Some(entry.item);
            }
            if state.phase == Phase::Draining && state.is_empty() {
                return None;
            }
            let wait = state.later.peek().map(|Reverse(first)| first.due.saturating_duration_since(now));
            *state.sleepers(pool) += 1;
            state = match wait {
                Some(wait) => work.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
                None => work.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            *state.sleepers(pool) -= 1;
        }
    }

    /// What [`RunQueue::next`] gives now, from either pool, or when there will be something.
    #[cfg(test)]
    pub(super) fn try_next(&self) -> Result<(T, Pool), Option<Instant>> {
        let mut state = self.lock();
        state.mature(clock::now());
        for pool in [Pool::Quick, Pool::Slow] {
            if let Some(entry) = state.take(pool) {
                return Ok((entry.item, pool));
            }
        }
        Err(state.later.peek().map(|Reverse(first)| first.due))
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
        let deadline = clock::now() + patience;
        while state.threads > 0 {
            let left = deadline.saturating_duration_since(clock::now());
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
        self.is_open.store(phase == Phase::Open, Ordering::Relaxed);
        self.notify_all();
        state
    }

    fn work(&self, pool: Pool) -> &Condvar {
        match pool {
            Pool::Quick => &self.quick_work,
            Pool::Slow => &self.slow_work,
        }
    }

    fn notify_all(&self) {
        self.quick_work.notify_all();
        self.slow_work.notify_all();
    }

    /// A thread that panicked with the lock left a whole state: every change here is one step.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Wake for RunQueue<T> {
    /// A thread for each that waits, as far as there are any.
    fn wake(&self) {
        let state = self.lock();
        let quick = state.quick.len().min(state.quick_sleepers);
        let slow = state.slow.len().min(state.slow_sleepers);
        drop(state);
        (0..quick).for_each(|_| self.quick_work.notify_one());
        (0..slow).for_each(|_| self.slow_work.notify_one());
    }
}

// === impl State ===

impl<T> State<T> {
    fn put(&mut self, item: T, to: Pool, due: Option<Instant>) {
        let entry = Entry { number: self.number, item, pool: to };
        self.number += 1;
        match due {
            Some(due) => self.later.push(Reverse(Later { due, entry })),
            None => self.queue(entry),
        }
    }

    fn queue(&mut self, entry: Entry<T>) {
        match entry.pool {
            Pool::Quick => self.quick.push_back(entry),
            Pool::Slow => self.slow.push_back(entry),
        }
    }

    /// Queues those whose time has come; whether there were any.
    fn mature(&mut self, now: Instant) -> bool {
        let waiting = self.later.len();
        while self.later.peek().is_some_and(|Reverse(first)| first.due <= now) {
            let Some(Reverse(first)) = self.later.pop() else { break };
            // Its place is that of now: it has waited for a plugin and not for a thread.
            self.put(first.entry.item, first.entry.pool, None);
        }
        self.later.len() < waiting
    }

    /// While draining, every thread takes everything: those of the other pool may have ended.
    fn take(&mut self, pool: Pool) -> Option<Entry<T>> {
        let (first, second) = match pool {
            Pool::Quick => (&mut self.quick, &mut self.slow),
            Pool::Slow => (&mut self.slow, &mut self.quick),
        };
        let next = first.pop_front();
        if self.phase == Phase::Draining { next.or_else(|| second.pop_front()) } else { next }
    }

    fn sleepers(&mut self, pool: Pool) -> &mut usize {
        match pool {
            Pool::Quick => &mut self.quick_sleepers,
            Pool::Slow => &mut self.slow_sleepers,
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

    #[test]
    fn each_pool_has_its_own_until_all_is_to_be_finished() {
        use Pool::{Quick, Slow};
        let queue = Arc::new(RunQueue::new(2));
        for (item, pool) in [("s1", Slow), ("q1", Quick), ("s2", Slow), ("q2", Quick), ("s3", Slow)] {
            queue.push(item, pool);
        }
        assert_eq!([queue.next(Pool::Quick), queue.next(Pool::Quick)], [Some("q1"), Some("q2")]);
        assert_eq!(queue.next(Pool::Slow), Some("s1"));
        queue.drain(Duration::ZERO);
        assert_eq!([queue.next(Pool::Quick), queue.next(Pool::Slow)], [Some("s2"), Some("s3")]);
    }

    #[test]
    fn what_is_due_later_comes_when_it_is_due_and_in_that_order() {
        let queue = Arc::new(RunQueue::new(1));
        let now = Instant::now();
        queue.push_at("third", Pool::Quick, now + Duration::from_millis(20));
        queue.push_at("second", Pool::Quick, now + Duration::from_millis(10));
        queue.push("first", Pool::Quick);
        for expected in ["first", "second", "third"] {
            assert_eq!(queue.next(Pool::Quick), Some(expected));
        }
        assert!(now.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn draining_waits_for_what_is_due_later_and_stopping_does_not() {
        let queue = Arc::new(RunQueue::new(1));
        queue.push_at("later", Pool::Quick, Instant::now() + Duration::from_millis(10));
        queue.drain(Duration::ZERO);
        assert_eq!(queue.next(Pool::Quick), Some("later"));
        assert!(queue.next(Pool::Quick).is_none());
        queue.push_at("never", Pool::Quick, Instant::now() + Duration::from_secs(3_600));
        queue.stop();
        assert!(queue.next(Pool::Quick).is_none());
    }
}
