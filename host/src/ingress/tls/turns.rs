//! What handshakes compute, a few at a time.
//!
//! One signature of RSA takes a millisecond or more on a small board. When a thousand devices come back at once, all of their tasks are ready
//! at the same moment, and a device that is connected would wait for its ack until each of them had its turn. Here they queue for a place
//! instead, asleep. A place is held for one step and for one round of the scheduler after it, in which whoever else is ready runs; and never
//! while a device is waited for, so that who is silent holds nothing.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::Semaphore;

pub struct Turns(Semaphore);

/// Knows whether the future has something to do: what wakes it may come while its task waits for something else.
struct Woken {
    is_woken: AtomicBool,
    task: Waker,
}

// === impl Turns ===

impl Turns {
    /// On half of the cores, one at least.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Semaphore::new((cores / 2).max(1)))
    }

    /// Polls a future to its end, each time with a place.
    pub async fn drive<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let woken = poll_fn(|cx| Poll::Ready(Woken::of(cx.waker()))).await;
        let waker = Waker::from(woken.clone());
        loop {
            // It is never closed; without a place this would go on all the same.
            let place = self.0.acquire().await.ok();
            woken.is_woken.store(false, Ordering::Release);
            let step = future.as_mut().poll(&mut Context::from_waker(&waker));
            tokio::task::yield_now().await;
            drop(place);
            match step {
                Poll::Ready(output) => return output,
                Poll::Pending => poll_fn(|_| woken.poll()).await,
            }
        }
    }
}

// === impl Woken ===

impl Woken {
    fn of(task: &Waker) -> Arc<Self> {
        Arc::new(Self { is_woken: AtomicBool::new(false), task: task.clone() })
    }

    fn poll(&self) -> Poll<()> {
        if self.is_woken.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn who_waits_holds_no_place() {
        let turns = Arc::new(Turns(Semaphore::new(1)));
        let silent = tokio::spawn({
            let turns = turns.clone();
            async move { turns.drive(std::future::pending::<()>()).await }
        });
        tokio::task::yield_now().await;
        let quick = turns.drive(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            7
        });
        assert_eq!(tokio::time::timeout(Duration::from_secs(2), quick).await, Ok(7));
        silent.abort();
    }

    #[tokio::test]
    async fn others_run_between_two_steps() {
        let turns = Arc::new(Turns(Semaphore::new(1)));
        let steps = Arc::<AtomicUsize>::default();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (turns, steps) = (turns.clone(), steps.clone());
                tokio::spawn(async move { turns.drive(async { steps.fetch_add(1, Relaxed) }).await })
            })
            .collect();
        // All of them are asleep but one, and this task is polled before the queue has moved on by more than a few.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert!(steps.load(Relaxed) < 100, "{}", steps.load(Relaxed));
        for task in tasks {
            task.await.unwrap();
        }
    }
}
