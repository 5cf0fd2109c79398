//! The task that keeps the archive: takes letters out of the spool, and sends those that are marked through their binding.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::archive::Archive;
use super::filter::Filter;
use super::letter::Letter;
use crate::bindings::{Dispatcher, Inbound};
use crate::control::clock;
use crate::control::counters::Counters;
use crate::message::Origin;
use crate::spool::log::AppendError;
use crate::spool::{Fate, Intervals, Position, Queue, Receipt, Resolved};

/// Letters taken out of the spool, or sent again, at once: one sync is shared by so many.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1 << 20;
/// Before a full disk is tried again. The letters wait in the spool meanwhile.
const RETRY: Duration = Duration::from_millis(500);
/// How often the age of letters is looked at.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);

/// The counter at which others ask for something: the admin socket.
#[derive(Clone)]
pub struct Desk(Arc<Shared>);

struct Shared {
    /// Std: it is held over a write of the disk, and therefore only ever taken on a thread that may block.
    archive: Mutex<Archive>,
    marked: Notify,
}

pub struct Archivist {
    desk: Desk,
    queue: Arc<Queue>,
    dispatcher: Arc<Dispatcher>,
    counters: Arc<Counters>,
    /// Sent again, and not known to be safe.
    sent: BTreeSet<u64>,
    /// Not looked at below this id: sent, or it has no binding.
    next: u64,
    safe: Resolved,
}

// === impl Desk ===

impl Desk {
    pub fn new(archive: Archive) -> Self {
        Self(Arc::new(Shared { archive: Mutex::new(archive), marked: Notify::new() }))
    }

    pub async fn letters(&self) -> u64 {
        self.with(|archive| archive.letters()).await.unwrap_or(0)
    }

    /// How many go again. They are on their way when this returns, and remembered.
    pub async fn requeue(&self, filter: Filter) -> Result<u64, String> {
        let marked = self.with(move |archive| archive.mark(&filter)).await?.map_err(|error| error.to_string());
        self.0.marked.notify_one();
        marked
    }

    pub async fn purge(&self, filter: Filter) -> Result<u64, String> {
        self.with(move |archive| archive.purge(&filter)).await?.map_err(|error| error.to_string())
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Archive) -> T + Send + 'static,
    ) -> Result<T, String> {
        let shared = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut shared.archive()));
        done.await.map_err(|error| format!("the archive's thread: {error}"))
    }
}

// === impl Shared ===

impl Shared {
    fn archive(&self) -> MutexGuard<'_, Archive> {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Archivist ===

impl Archivist {
    pub fn new(desk: Desk, queue: Arc<Queue>, dispatcher: Arc<Dispatcher>, counters: Arc<Counters>) -> Self {
        Self { desk, queue, dispatcher, counters, sent: BTreeSet::new(), next: 0, safe: Resolved::default() }
    }

    /// Until it is stopped; what is in the spool then is archived by the next process. An error when the disk fails.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), String> {
        let mut expire = tokio::time::interval(EXPIRE_EVERY);
        self.send_marked().await?;
        loop {
            let desk = self.desk.clone();
            // In this order: letters come last, because there may be no end of them.
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = desk.0.marked.notified() => {
                    self.next = 0;
                    self.send_marked().await?;
                }
                id = self.safe.next() => self.forget(id).await?,
                _ = expire.tick() => self.write(|archive| archive.expire(clock::unix_ms())).await.map(drop)?,
                () = self.queue.wait_after(Position::START) => self.archive(&stop).await?,
            }
        }
    }

    /// One batch out of the spool.
    async fn archive(&mut self, stop: &CancellationToken) -> Result<(), String> {
        let entries = self.queue.read(Position::START, BATCH, BATCH_BYTES);
        let letters: Vec<_> =
            entries.iter().map(|entry| (entry.position.number, entry.message.payload.clone())).collect();
        if self.write(move |archive| archive.append(&letters, clock::unix_ms())).await? {
            entries.iter().for_each(|entry| self.queue.complete(entry.position, Fate::Archived));
        } else {
            stop.run_until_cancelled(tokio::time::sleep(RETRY)).await;
        }
        Ok(())
    }

    /// The next of those that are to go again, as long as not too many are on their way.
    async fn send_marked(&mut self) -> Result<(), String> {
        while self.sent.len() < BATCH {
            let (from, max) = (self.next, BATCH - self.sent.len());
            let found = self.desk.with(move |archive| archive.next_marked(from, max)).await?;
            let found = found.map_err(|error| format!("the dead letters cannot be read: {error}"))?;
            if found.is_empty() {
                break;
            }
            for (id, letter) in found {
                self.next = id + 1;
                if self.sent.insert(id) {
                    self.send(id, letter).await?;
                }
            }
        }
        Ok(())
    }

    async fn send(&mut self, id: u64, letter: Letter) -> Result<(), String> {
        let Letter { message, facts } = letter;
        let origin =
            Origin { client: facts.client.as_str().into(), arrived_ms: facts.arrived_ms, hops: 0, principal: None };
        let receipt = Receipt::new(id, self.safe.clone());
        let (origin, arrived, changes, attempts) = (Arc::new(origin), clock::now(), Vec::new(), facts.attempts);
        let inbound = Inbound { message, origin, arrived, receipt, changes, attempts };
        let Some(pending) = self.dispatcher.again(inbound, &facts.binding) else {
            tracing::error!(id, binding = facts.binding, "this dead letter has no binding any more; it stays");
            self.sent.remove(&id);
            let ids = one(id);
            return self.write(move |archive| archive.unmark(&ids)).await.map(drop);
        };
        self.counters.requeued.increment();
        let started = self.dispatcher.clone().start_when_free(pending).await;
        started.map_err(|_| "the bindings are gone".to_owned())
    }

    /// Everything that these have caused now is durable: they leave the archive.
    async fn forget(&mut self, first: u64) -> Result<(), String> {
        let mut ids = one(first);
        while let Some(id) = self.safe.try_next() {
            ids.insert(id);
        }
        self.sent.retain(|id| !ids.contains(*id));
        self.write(move |archive| archive.remove(&ids)).await?;
        self.send_marked().await
    }

    /// `false` when there is no room now.
    async fn write(
        &self,
        work: impl FnOnce(&mut Archive) -> Result<(), AppendError> + Send + 'static,
    ) -> Result<bool, String> {
        match self.desk.with(work).await? {
            Ok(()) => Ok(true),
            Err(AppendError::Full(shortage)) => {
                tracing::warn!("dead letters wait in the spool: {shortage}");
                Ok(false)
            }
            Err(error) => Err(format!("dead letters: {error}")),
        }
    }
}

fn one(id: u64) -> Intervals {
    let mut ids = Intervals::default();
    ids.insert(id);
    ids
}
