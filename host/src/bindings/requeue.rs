//! The task that keeps the archive: takes dead letters out of the spool into their archive, and sends those that are marked again:
//! through their binding, or to their upstream.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::AcquireError;
use tokio_util::sync::CancellationToken;

use super::{Dispatcher, Inbound};
use crate::base::name::Name;
use crate::base::{clock, timeline};
use crate::config::UpstreamId;
use crate::dead_letter::{Archive, ArchiveHandle, DeadLetter};
use crate::message::Origin;
use crate::metrics::Counters;
use crate::spool::log::AppendError;
use crate::spool::{Fate, Intervals, Output, Position, Queue, Receipt, Record, Resolved, Spool};
use crate::tap;

/// Letters taken out of the spool, or sent again, at once: one sync is shared by so many.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1 << 20;
/// Before a full disk is tried again. The letters wait in the spool meanwhile.
const RETRY: Duration = Duration::from_millis(500);
/// How often the age of letters is looked at.
const EXPIRE_EVERY: Duration = Duration::from_secs(60);

type Starting = Pin<Box<dyn Future<Output = Result<(), AcquireError>> + Send>>;

pub struct Archiver {
    handle: ArchiveHandle,
    queue: Arc<Queue>,
    spool: Spool,
    /// Their names, in the order of the configuration.
    upstreams: Vec<String>,
    dispatcher: Arc<Dispatcher>,
    counters: Arc<Counters>,
    /// Sent again, and not known to be safe.
    sent: BTreeSet<u64>,
    /// The one that waits for places in its binding; the others wait behind it. Not in the way of what is to be archived: those who
    /// hold the places may wait for a spool that is full of dead letters.
    starting: Option<Starting>,
    /// Not looked at below this id: sent, or it has no binding.
    next: u64,
    safe: Resolved,
}

// === impl Archiver ===

impl Archiver {
    pub fn new(
        handle: ArchiveHandle,
        spool: Spool,
        upstreams: Vec<String>,
        dispatcher: Arc<Dispatcher>,
        counters: Arc<Counters>,
    ) -> Self {
        // It was opened with this line, so that there is one; a queue without a line has nothing to read.
        let queue = spool.queue(spool.dead_letters().unwrap_or(UpstreamId(usize::MAX)));
        let (sent, safe) = (BTreeSet::new(), Resolved::default());
        Self { handle, queue, spool, upstreams, dispatcher, counters, sent, starting: None, next: 0, safe }
    }

    /// Until it is stopped; what is in the spool then is archived by the next process. An error when the disk fails.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), String> {
        let mut expire = tokio::time::interval(EXPIRE_EVERY);
        self.send_marked().await?;
        loop {
            let handle = self.handle.clone();
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.queue.wait_after(Position::START) => self.archive(&stop).await?,
                () = handle.marked() => {
                    self.next = 0;
                    self.send_marked().await?;
                }
                id = self.safe.next() => self.forget(id).await?,
                started = started(&mut self.starting) => {
                    started?;
                    self.send_marked().await?;
                }
                _ = expire.tick() => self.write(|archive| archive.expire(timeline::now_ms())).await.map(drop)?,
            }
        }
    }

    /// One batch out of the spool.
    async fn archive(&mut self, stop: &CancellationToken) -> Result<(), String> {
        let entries = self.queue.read(Position::START, BATCH, BATCH_BYTES);
        let letters: Vec<_> =
            entries.iter().map(|entry| (entry.position.number, entry.message.payload.clone())).collect();
        let Some(refused) = self.write(move |archive| archive.append(&letters, timeline::now_ms())).await? else {
            stop.run_until_cancelled(tokio::time::sleep(RETRY)).await;
            return Ok(());
        };
        for entry in entries {
            // Its message was acknowledged, and this was the only copy.
            let is_refused = refused.contains(&entry.position.number);
            self.queue.complete(entry.position, if is_refused { Fate::NeverSendable } else { Fate::Archived });
        }
        Ok(())
    }

    /// The next of those that are to go again, as long as not too many are on their way and none waits.
    async fn send_marked(&mut self) -> Result<(), String> {
        while self.starting.is_none() && self.sent.len() < BATCH {
            let (from, max) = (self.next, BATCH - self.sent.len());
            let found = self.handle.with(move |archive| archive.next_marked(from, max)).await?;
            let found = found.map_err(|error| format!("the dead letters cannot be read: {error}"))?;
            if found.is_empty() {
                break;
            }
            for (id, letter) in found {
                if self.starting.is_some() {
                    break;
                }
                self.next = id + 1;
                if self.sent.insert(id) {
                    self.send(id, letter).await?;
                }
            }
        }
        Ok(())
    }

    async fn send(&mut self, id: u64, letter: DeadLetter) -> Result<(), String> {
        if !letter.metadata.upstream.is_empty() {
            return self.send_to_upstream(id, letter).await;
        }
        if !letter.metadata.subscriber.is_empty() {
            let subscriber = &letter.metadata.subscriber;
            tracing::error!(id, ?subscriber, "this dead letter was for one subscriber, which closes on it; it stays");
            return self.leave(id).await;
        }
        let DeadLetter { message, metadata } = letter;
        let origin = Origin {
            client: metadata.client.as_str().into(),
            arrived_ms: metadata.arrived_ms,
            hops: 0,
            principal: None,
            source: None,
            trace: None,
        };
        let receipt = Receipt::new(id, self.safe.clone());
        let (origin, arrived, changes, attempts) = (Arc::new(origin), clock::now(), Vec::new(), metadata.attempts);
        let inbound = Inbound { message, origin, arrived, receipt, changes, attempts, caused: None };
        let Some(pending) = self.dispatcher.again(inbound, &metadata.binding) else {
            tracing::error!(id, binding = metadata.binding, "this dead letter has no binding any more; it stays");
            return self.leave(id).await;
        };
        self.counters.requeued.increment();
        if let Err(pending) = self.dispatcher.try_start(pending) {
            self.starting = Some(Box::pin(self.dispatcher.clone().start_when_free(*pending)));
        }
        Ok(())
    }

    /// An output of a chain, which is not for the chain again.
    async fn send_to_upstream(&mut self, id: u64, DeadLetter { message, metadata }: DeadLetter) -> Result<(), String> {
        let Some(upstream) = self.upstreams.iter().position(|name| *name == metadata.upstream) else {
            tracing::error!(id, upstream = metadata.upstream, "this dead letter has no upstream any more; it stays");
            return self.leave(id).await;
        };
        self.counters.requeued.increment();
        let trace = if tap::is_on() { self.dispatcher.trace_output(&message, &metadata.client) } else { None };
        let binding = Some(metadata.binding.as_str()).filter(|name| !name.is_empty()).map(Name::of);
        let output = Output { upstream: UpstreamId(upstream), binding, message, arrived: clock::now() };
        let receipt = Receipt::new(id, self.safe.clone());
        self.spool.commit(Record { outputs: vec![output], receipt, trace, ..Record::default() });
        Ok(())
    }

    async fn leave(&mut self, id: u64) -> Result<(), String> {
        self.sent.remove(&id);
        let ids = one(id);
        self.write(move |archive| archive.unmark(&ids)).await.map(drop)
    }

    /// Everything that these have caused now is durable: they leave the archive. What was refused stays there.
    async fn forget(&mut self, first: u64) -> Result<(), String> {
        let (mut safe, mut refused) = (Intervals::default(), Intervals::default());
        let mut next = Some(first);
        while let Some(id) = next {
            let ids = if self.safe.take_refused(id) { &mut refused } else { &mut safe };
            ids.insert(id);
            next = self.safe.try_next();
        }
        self.sent.retain(|id| !safe.contains(*id) && !refused.contains(*id));
        self.write(move |archive| archive.remove(&safe)).await?;
        if !refused.is_empty() {
            tracing::error!("dead letters stay in the archive: what they cause is larger than a segment of the spool");
            self.write(move |archive| archive.unmark(&refused)).await?;
        }
        self.send_marked().await
    }

    /// `None` when there is no room now. Mutable, because what waits can be sent to another thread, but not be looked at by two.
    async fn write<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Archive) -> Result<T, AppendError> + Send + 'static,
    ) -> Result<Option<T>, String> {
        match self.handle.with(work).await? {
            Ok(done) => Ok(Some(done)),
            Err(AppendError::Full(shortage)) => {
                tracing::warn!("dead letters wait in the spool: {shortage}");
                Ok(None)
            }
            Err(error) => Err(format!("dead letters: {error}")),
        }
    }
}

/// Returns when the one that waits has started; never, when none waits.
async fn started(starting: &mut Option<Starting>) -> Result<(), String> {
    let Some(waiting) = starting else { return std::future::pending().await };
    let outcome = waiting.as_mut().await;
    *starting = None;
    outcome.map_err(|_| "the bindings are gone".to_owned())
}

fn one(id: u64) -> Intervals {
    let mut ids = Intervals::default();
    ids.insert(id);
    ids
}
