//! A spool that turns as a task of the caller's runtime, in its time: as [`super::threads`] does, for a simulator that has one thread.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout_at};

use super::committer::{Committer, RETRY, Turn};
use super::log::{AppendError, Disk};
use super::open::{Parts, open};
use super::refill::{Refill, Refilled};
use super::tests::manual_driver::Driver;
use super::threads::Life;
use super::*;
use crate::base::clock;

/// What the threads of a spool do. Dropped before its end it is a process that was killed.
pub(crate) struct Stepper<D: Disk> {
    shared: Arc<Shared>,
    committer: Committer<D>,
    refill: Refill<D>,
    notified: Arc<Notify>,
}

/// Who commits wakes the task, instead of a thread.
struct Waker(Arc<Notify>);

impl Driver for Waker {
    fn turn(&mut self, _: &Shared) {
        self.0.notify_one();
    }
}

impl Spool {
    pub(crate) fn stepped<D: Disk>(
        disk: D,
        dir: &Path,
        upstreams: &[&str],
        config: &config::Spool,
        counters: Arc<Counters>,
    ) -> Result<(Self, Restored, Stepper<D>), OpenError> {
        let Parts { shared, committer, refill, restored } = open(disk, dir, upstreams, config, counters)?;
        let notified = Arc::new(Notify::new());
        let hand: Box<dyn Driver> = Box::new(Waker(notified.clone()));
        assert!(shared.manual_driver.set(Mutex::new(hand)).is_ok());
        let stepper = Stepper { shared: shared.clone(), committer, refill, notified };
        Ok((Self::new(shared), restored, stepper))
    }
}

// === impl Stepper ===

impl<D: Disk> Stepper<D> {
    /// Until the spool is closed or dead. `latency` is what the disk takes for the next turn.
    pub async fn run(mut self, mut latency: impl FnMut() -> Duration) {
        let life = match self.work(&mut latency).await {
            Ok(()) => Life::Closed,
            Err(error) => Life::Dead(error.to_string()),
        };
        let Self { shared, committer, .. } = self;
        drop(committer);
        shared.end();
        shared.life.send_replace(life);
    }

    async fn work(&mut self, latency: &mut impl FnMut() -> Duration) -> Result<(), AppendError> {
        loop {
            let took = latency();
            if !took.is_zero() {
                sleep(took).await;
            }
            let closing = self.shared.queue_state().closing;
            let wait = match self.committer.turn(&self.shared)? {
                Turn::Worked => {
                    self.fetch();
                    tokio::task::yield_now().await;
                    continue;
                }
                Turn::Idle | Turn::Full(_) if closing => return self.committer.log_mut().sync_now(),
                Turn::Idle => self.committer.sweep_due(),
                Turn::Full(retry) => {
                    assert!(retry > clock::now(), "a turn that could do nothing wants the next one at once");
                    Some(retry)
                }
            };
            let again = self.fetch();
            let due =
                [wait, again, self.committer.checkpoint_due(), self.committer.wills_due()].into_iter().flatten().min();
            pause(&self.shared, &self.notified, due).await;
        }
    }

    /// Brings the backlog back. When to try again what could not be read.
    fn fetch(&mut self) -> Option<Instant> {
        loop {
            match self.refill.turn(&self.shared) {
                Ok(Refilled::Some) => {}
                Ok(Refilled::Idle) => return None,
                Ok(Refilled::Stuck) | Err(_) => return Some(clock::now() + RETRY),
            }
        }
    }
}

/// Until there is something to do, or a moment.
async fn pause(shared: &Shared, notified: &Notify, until: Option<Instant>) {
    loop {
        let due = {
            let queue_state = shared.queue_state();
            let has_work =
                !queue_state.incoming.is_empty() || queue_state.closing || (queue_state.has_want() && until.is_none());
            if has_work {
                return;
            }
            [until, queue_state.completions.due()].into_iter().flatten().min()
        };
        match due {
            None => notified.notified().await,
            Some(due) if due <= clock::now() => return,
            Some(due) => drop(timeout_at(due.into(), notified.notified()).await),
        }
    }
}
