//! Lanes that take their turns in a task of the caller's runtime, as [`super::workers`] does it on threads: for a simulator.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout_at};

use super::lane::Lane;
use super::run_queue::RunQueue;
use super::stages::Chain;

/// What the threads do. Dropped, it is a process that was killed: what waits in the lanes is dropped.
pub(crate) struct Stepper {
    ready: Arc<RunQueue<Lane>>,
}

// === impl Stepper ===

impl Stepper {
    /// A lane for each chain, in order.
    pub fn new(chains: Vec<Chain>) -> (Self, Vec<Lane>) {
        let ready = Arc::new(RunQueue::new(1));
        let lanes = chains.into_iter().map(|chain| Lane::new(chain, Arc::clone(&ready))).collect();
        (Self { ready }, lanes)
    }

    /// For ever. `takes` is how long the next turn holds the thread.
    pub async fn run(self, mut takes: impl FnMut() -> Duration) {
        loop {
            match self.ready.try_next() {
                Ok((lane, pool)) => {
                    let took = takes();
                    if !took.is_zero() {
                        sleep(took).await;
                    }
                    lane.turn(pool);
                    tokio::task::yield_now().await;
                }
                Err(None) => self.ready.stirred.notified().await,
                Err(Some(due)) => drop(timeout_at(due.into(), self.ready.stirred.notified()).await),
            }
        }
    }
}

impl Drop for Stepper {
    fn drop(&mut self) {
        self.ready.stop();
    }
}
