//! Messages of one connection that wait for a place in the lanes of their bindings: how pressure travels back to a device, or an upstream.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::AcquireError;
use tokio_util::sync::CancellationToken;

use super::{Dispatcher, Pending};
use crate::base::wake::batch_wakes;

/// Messages that one connection may have waiting: more than any device's window that is not a flood.
const MAX_MESSAGES: usize = 4_096;

/// Bytes that one connection may have waiting. Reading goes on until then, so that pings are answered in an outage.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that all connections together may have waiting.
const MAX_BYTES_TOTAL: usize = 64 * 1024 * 1024;

/// In order of arrival; the first one is waiting, the others wait behind it.
pub struct Parked {
    dispatcher: Arc<Dispatcher>,
    first: Option<Waiting>,
    others: VecDeque<Pending>,
    bytes: usize,
    total: Arc<AtomicUsize>,
}

struct Waiting {
    started: Pin<Box<dyn Future<Output = Result<(), AcquireError>> + Send>>,
    weight: usize,
    will_be_resent: bool,
}

impl Parked {
    /// `total` is shared by all connections.
    pub fn new(dispatcher: Arc<Dispatcher>, total: Arc<AtomicUsize>) -> Self {
        Self { dispatcher, first: None, others: VecDeque::new(), bytes: 0, total }
    }

    /// Lets nothing start before `barrier` is cancelled: earlier messages of the same client go first.
    pub fn behind(mut self, barrier: Option<CancellationToken>) -> Self {
        self.first = barrier.map(|barrier| {
            let started = Box::pin(async move {
                barrier.cancelled().await;
                Ok(())
            });
            Waiting { started, weight: 0, will_be_resent: false }
        });
        self
    }

    /// Drops what its device will send again.
    pub fn forget_resent(&mut self) {
        let (gone, kept) = self.others.drain(..).partition(Pending::will_be_resent);
        self.others = kept;
        let gone: VecDeque<Pending> = gone;
        self.forget(gone.iter().map(Pending::weight).sum());
        if self.first.as_ref().is_some_and(|first| first.will_be_resent) {
            let weight = self.first.take().map_or(0, |first| first.weight);
            self.forget(weight);
            self.start_others();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Whether reading should pause.
    pub fn is_full(&self) -> bool {
        self.others.len() >= MAX_MESSAGES
            || self.bytes >= MAX_BYTES
            || (!self.is_empty() && self.total.load(Ordering::Relaxed) >= MAX_BYTES_TOTAL)
    }

    /// Starts the message, or lets it wait behind the others: order is kept.
    pub fn submit(&mut self, pending: Pending) {
        if self.is_empty() {
            let Err(pending) = self.dispatcher.try_start(pending) else { return };
            self.account(pending.weight());
            self.wait_for(*pending);
        } else {
            self.account(pending.weight());
            self.others.push_back(pending);
        }
    }

    /// Returns when the first one has started; never, when none waits.
    pub async fn started(&mut self) -> Result<(), AcquireError> {
        let Some(first) = &mut self.first else { return std::future::pending().await };
        let outcome = first.started.as_mut().await;
        let weight = first.weight;
        self.first = None;
        self.forget(weight);
        outcome?;
        self.start_others();
        Ok(())
    }

    fn start_others(&mut self) {
        let _turn = batch_wakes();
        while let Some(pending) = self.others.pop_front() {
            let weight = pending.weight();
            match self.dispatcher.try_start(pending) {
                Ok(()) => self.forget(weight),
                Err(pending) => return self.wait_for(*pending),
            }
        }
    }

    fn wait_for(&mut self, pending: Pending) {
        let (weight, will_be_resent) = (pending.weight(), pending.will_be_resent());
        let started = Box::pin(self.dispatcher.clone().start_when_free(pending));
        self.first = Some(Waiting { started, weight, will_be_resent });
    }

    fn account(&mut self, weight: usize) {
        self.bytes += weight;
        self.total.fetch_add(weight, Ordering::Relaxed);
    }

    fn forget(&mut self, weight: usize) {
        self.bytes -= weight;
        self.total.fetch_sub(weight, Ordering::Relaxed);
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
