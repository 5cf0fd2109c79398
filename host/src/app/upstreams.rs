//! What takes messages out of the spool: a sender for each upstream, and the archiver of dead letters.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ingress::largest_packet;
use super::storage::Storage;
use crate::bindings::{Archiver, Dispatcher};
use crate::config::{Config, UpstreamId};
use crate::egress::{self, Inbox, Prepared};
use crate::metrics::Counters;
use crate::operate::WatchedUpstream;
use crate::spool::{Restored, Spool};

pub struct Upstreams {
    senders: Vec<JoinHandle<()>>,
    /// In the same order.
    watched: Vec<WatchedUpstream>,
    archiver: JoinHandle<Result<(), String>>,
    stop: CancellationToken,
    /// Nothing more is taken of what upstreams send.
    closing: CancellationToken,
}

// === impl Upstreams ===

impl Upstreams {
    pub fn start(
        config: &Config,
        prepared: Vec<Prepared>,
        storage: &Storage,
        restored: &Restored,
        dispatcher: &Arc<Dispatcher>,
        counters: &Arc<Counters>,
    ) -> Self {
        let (stop, closing) = (CancellationToken::new(), CancellationToken::new());
        let parked_bytes = Arc::new(AtomicUsize::new(0));
        let (mut senders, mut watched) = (Vec::new(), Vec::new());
        for (index, (spec, prepared)) in config.upstreams.iter().zip(prepared).enumerate() {
            let queue = storage.spool.queue(UpstreamId(index));
            let letters = Arc::new(storage.archive.clone());
            let inbox = Inbox {
                id: UpstreamId(index),
                dispatcher: dispatcher.clone(),
                max_packet_size: largest_packet(&config.broker.limits, dispatcher.journal().max_record()),
                parked_bytes: parked_bytes.clone(),
                closing: closing.clone(),
                state: Inbox::state_of(&restored.state, &spec.name),
            };
            let running = egress::start(prepared, queue.clone(), letters, Some(inbox), counters.clone(), stop.clone());
            senders.push(running.task);
            let (name, status, operator) = (spec.name.clone(), running.status, running.operator);
            watched.push(WatchedUpstream { name, status, operator, queue });
        }
        let names = watched.iter().map(|upstream| upstream.name.clone()).collect();
        let (archive, spool) = (storage.archive.clone(), storage.spool.clone());
        let archiver = Archiver::new(archive, spool, names, dispatcher.clone(), counters.clone());
        let archiver = tokio::spawn(archiver.run(stop.clone()));
        Self { senders, watched, archiver, stop, closing }
    }

    pub fn watched(&self) -> &[WatchedUpstream] {
        &self.watched
    }

    /// Why a part of it ended by itself.
    pub async fn ended(&mut self) -> String {
        tokio::select! {
            ended = &mut self.archiver => {
                format!("the archive of dead letters ended: {ended:?}; they are kept in the spool")
            }
            ended = first_ended(&mut self.senders) => {
                let name = self.watched.get(ended).map_or("?", |upstream| &upstream.name);
                format!("the sender of upstream `{name}` ended by itself")
            }
        }
    }

    /// What they send from now on is theirs: it is not acknowledged, and comes again.
    pub fn take_no_more(&self) {
        self.closing.cancel();
    }

    /// Lets the upstreams that are there take what waits.
    pub async fn drain(&self, spool: &Spool, by: Instant) {
        let connected = || self.watched.iter().any(|upstream| upstream.status.borrow().connected);
        while spool.deliverable() > 0 && connected() && Instant::now() < by {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn stop(self, by: Instant) {
        self.stop.cancel();
        for sender in self.senders {
            // The sender bounds its own farewell; this is for one that hangs.
            let _ = tokio::time::timeout_at(by, sender).await;
        }
        let _ = tokio::time::timeout_at(by, self.archiver).await;
    }
}

/// What is doubtful about its files.
pub fn tell_doubts(upstream: &Prepared) {
    upstream.doubts().iter().for_each(|doubt| tracing::warn!(upstream = upstream.name(), "{doubt}"));
}

/// The position of the first task that ended; never, when there is none.
async fn first_ended(tasks: &mut [JoinHandle<()>]) -> usize {
    std::future::poll_fn(|cx| {
        for (index, task) in tasks.iter_mut().enumerate() {
            if std::pin::Pin::new(task).poll(cx).is_ready() {
                return std::task::Poll::Ready(index);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
