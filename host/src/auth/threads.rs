//! The threads that hash, which nothing else waits for: a hash of argon2id takes tens of milliseconds and 19 MiB.
//!
//! So many hashes run at once as there are threads, and so much memory they take; what waits is bounded, in turns of the addresses it comes
//! from, and each has a deadline. Whoever has left or waited too long costs nothing more. The threads are nicer than those that carry
//! messages: a flood of passwords slows down logins.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::fair_queue::FairQueue;

/// Of them is one for each two processors, so that half of the machine is for messages also while a whole plant connects.
const MAX_THREADS: usize = 4;

/// What waits. More is not done in any handshake's time, and each has a password of up to a kilobyte.
const MAX_WAITING: usize = 1_024;

/// How much nicer they are: a third of the weight of the others where the processor is contested.
const NICE: i32 = 5;

pub struct Threads<A>(Arc<Shared<A>>);

struct Shared<A> {
    waiting: Mutex<Waiting<A>>,
    changed: Condvar,
}

struct Waiting<A> {
    jobs: FairQueue<Job<A>>,
    is_over: bool,
}

struct Job<A> {
    work: Box<dyn FnOnce() -> A + Send>,
    answer: oneshot::Sender<A>,
    deadline: Instant,
}

// === impl Threads ===

impl<A: Send + 'static> Threads<A> {
    pub fn start() -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = Self(Arc::new(Shared::new(MAX_WAITING)));
        for number in 0..(cores / 2).clamp(1, MAX_THREADS) {
            let shared = threads.0.clone();
            thread::Builder::new().name(format!("passwords-{number}")).spawn(move || {
                // Where it is not allowed, there are few of them all the same.
                let _ = rustix::process::nice(NICE);
                shared.work();
            })?;
        }
        Ok(threads)
    }

    /// `None` when it could not be done by the deadline, or too many waited.
    pub async fn run(&self, address: u64, deadline: Instant, work: impl FnOnce() -> A + Send + 'static) -> Option<A> {
        let (answer, answered) = oneshot::channel();
        self.0.push(address, Job { work: Box::new(work), answer, deadline });
        tokio::time::timeout_at(deadline, answered).await.ok()?.ok()
    }
}

impl<A> Drop for Threads<A> {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

// === impl Shared ===

impl<A> Shared<A> {
    fn new(most: usize) -> Self {
        let waiting = Waiting { jobs: FairQueue::new(most), is_over: false };
        Self { waiting: Mutex::new(waiting), changed: Condvar::new() }
    }

    fn push(&self, address: u64, job: Job<A>) {
        let shed = self.lock().jobs.push(address, job);
        // Who waits for it hears that it is gone.
        drop(shed);
        self.changed.notify_one();
    }

    fn work(&self) {
        while let Some(Job { work, answer, deadline }) = self.next() {
            if !answer.is_closed() && Instant::now() < deadline {
                let _ = answer.send(work());
            }
        }
    }

    /// `None` when it is over.
    fn next(&self) -> Option<Job<A>> {
        let mut waiting = self.lock();
        loop {
            if waiting.is_over {
                return None;
            }
            if let Some(job) = waiting.jobs.pop() {
                return Some(job);
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<A>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Without threads: what is queued stays so until a test takes it.
    fn queued_only(most: usize) -> Threads<u32> {
        Threads(Arc::new(Shared::new(most)))
    }

    #[tokio::test]
    async fn work_is_done_elsewhere_and_its_answer_comes_back() {
        let threads = Threads::start().unwrap();
        let here = thread::current().id();
        let there = threads.run(1, Instant::now() + LONG, || thread::current().id()).await;
        assert!(there.is_some_and(|there| there != here));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_run_at_once_than_there_are_threads() {
        let threads = Arc::new(Threads::start().unwrap());
        let (now, most) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut all = tokio::task::JoinSet::new();
        for address in 0..64 {
            let (threads, now, most) = (threads.clone(), now.clone(), most.clone());
            let work = move || {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                thread::sleep(Duration::from_millis(1));
                now.fetch_sub(1, SeqCst);
            };
            all.spawn(async move { threads.run(address, Instant::now() + LONG, work).await });
        }
        assert!(all.join_all().await.iter().all(Option::is_some));
        assert!((1..=MAX_THREADS).contains(&most.load(SeqCst)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_left_or_waited_too_long_is_not_worked_for() {
        let threads = queued_only(10);
        let ran = Arc::<AtomicUsize>::default();
        let counting = || {
            let ran = ran.clone();
            move || u32::try_from(ran.fetch_add(1, SeqCst)).unwrap_or_default()
        };
        for _ in 0..3 {
            assert_eq!(threads.run(1, Instant::now() + LONG, counting()).await, None);
        }
        let (answer, answered) = oneshot::channel();
        threads.0.push(1, Job { work: Box::new(counting()), answer, deadline: Instant::now() + LONG });
        let shared = threads.0.clone();
        let worker = thread::spawn(move || shared.work());
        assert_eq!(answered.await, Ok(0), "the first that is worked for is the one that still waits");
        drop(threads);
        worker.join().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_too_many_is_told_at_once() {
        let threads = queued_only(1);
        let waits = threads.run(1, Instant::now() + LONG, || 0);
        tokio::pin!(waits);
        assert!(tokio::time::timeout(Duration::ZERO, waits.as_mut()).await.is_err());
        let begun = Instant::now();
        assert_eq!(threads.run(1, begun + LONG, || 0).await, None);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
