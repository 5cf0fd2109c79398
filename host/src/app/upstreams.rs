//! What takes messages out of the spool: a sender for each upstream, and the archivist of dead letters.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::storage::Storage;
use crate::bindings::{Archivist, Dispatcher};
use crate::config::{Config, UpstreamId};
use crate::egress::{self, Operator, Prepared, UpstreamStatus};
use crate::metrics::Counters;
use crate::spool::Spool;

pub struct Upstreams {
    senders: Vec<JoinHandle<()>>,
    statuses: Vec<(String, watch::Receiver<UpstreamStatus>)>,
    /// In the same order.
    operators: Vec<Operator>,
    archivist: JoinHandle<Result<(), String>>,
    stop: CancellationToken,
}

// === impl Upstreams ===

impl Upstreams {
    pub fn start(
        config: &Config,
        prepared: Vec<Prepared>,
        storage: &Storage,
        dispatcher: &Arc<Dispatcher>,
        counters: &Arc<Counters>,
    ) -> Self {
        let stop = CancellationToken::new();
        let (mut senders, mut statuses, mut operators) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (spec, prepared)) in config.upstreams.iter().zip(prepared).enumerate() {
            let queue = storage.spool.queue(UpstreamId(index));
            let letters = Arc::new(storage.archive.clone());
            let running = egress::start(prepared, queue, letters, counters.clone(), stop.clone());
            senders.push(running.task);
            operators.push(running.operator);
            statuses.push((spec.name.clone(), running.status));
        }
        let names = statuses.iter().map(|(name, _)| name.clone()).collect();
        let (archive, spool) = (storage.archive.clone(), storage.spool.clone());
        let archivist = Archivist::new(archive, spool, names, dispatcher.clone(), counters.clone());
        let archivist = tokio::spawn(archivist.run(stop.clone()));
        Self { senders, statuses, operators, archivist, stop }
    }

    pub fn statuses(&self) -> &[(String, watch::Receiver<UpstreamStatus>)] {
        &self.statuses
    }

    pub fn operators(&self) -> &[Operator] {
        &self.operators
    }

    /// Why a part of it ended by itself.
    pub async fn ended(&mut self) -> String {
        tokio::select! {
            ended = &mut self.archivist => {
                format!("the archive of dead letters ended: {ended:?}; they are kept in the spool")
            }
            ended = first_ended(&mut self.senders) => format!("the sender of upstream {ended} ended by itself"),
        }
    }

    /// Lets the upstreams that are there take what waits.
    pub async fn drain(&self, spool: &Spool, by: Instant) {
        let connected = || self.statuses.iter().any(|(_, status)| status.borrow().connected);
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
        let _ = tokio::time::timeout_at(by, self.archivist).await;
    }
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
