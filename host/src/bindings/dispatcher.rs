//! From a message that arrived to a record in the spool.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use super::gather::{Gather, Input};
use super::settle::{Settled, settle};
use super::table::{Binding, Table};
use super::{MAX_INTERNAL, MAX_STORING};
use crate::bus::{Bus, Journal, Kept};
use crate::chain::{Job, Lane, Outcome};
use crate::control::counters::Counters;
use crate::control::rate_limit::RateLimit;
use crate::message::{Message, Origin};
use crate::spool::{Change, Receipt, Record, Spool};

/// A message that a device or the gateway published, and the ack that waits for it.
#[derive(Debug)]
pub struct Inbound {
    pub message: Message,
    pub origin: Arc<Origin>,
    pub arrived: Instant,
    pub receipt: Receipt,
    /// What must be safe together with its outcome: the QoS 2 identity of the message, the end of a will.
    pub changes: Vec<Change>,
}

/// Delivered locally; waits for a place in the lanes of its bindings, and in the journal when it keeps something.
#[derive(Debug)]
pub struct Pending {
    inbound: Inbound,
    kept: Kept,
    bindings: Arc<[usize]>,
}

pub struct Dispatcher {
    gateway: String,
    table: Table,
    bus: Arc<Bus>,
    pub(super) journal: Arc<Journal>,
    pub(super) counters: Arc<Counters>,
    /// Records that keep something, are not safe yet, and are bounded by no lane.
    storing: Arc<Semaphore>,
    internal: Arc<Semaphore>,
    pub(super) next_unfinished: AtomicU64,
    pub(super) warnings: RateLimit,
}

impl Pending {
    /// Bytes that it keeps in memory.
    pub fn weight(&self) -> usize {
        self.inbound.message.weight()
    }
}

// === impl Dispatcher ===

impl Dispatcher {
    pub fn new(gateway: String, table: Table, bus: Arc<Bus>, spool: Spool, counters: Arc<Counters>) -> Arc<Self> {
        let (internal, storing) = (Arc::new(Semaphore::new(MAX_INTERNAL)), Arc::new(Semaphore::new(MAX_STORING)));
        let (journal, warnings) = (Arc::new(Journal::new(spool)), RateLimit::per_second(5));
        let next_unfinished = AtomicU64::new(0);
        Arc::new(Self { gateway, table, bus, journal, counters, storing, internal, next_unfinished, warnings })
    }

    /// Where everything that must survive is written.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Delivers to local subscribers. `None` when no binding matches and nothing is to be written: the message is done.
    pub fn receive(&self, inbound: Inbound) -> Option<Pending> {
        self.counters.received.increment();
        self.deliver_and_match(inbound)
    }

    /// Starts the chains when every lane has room; gives the message back when one has not.
    pub fn try_start(self: &Arc<Self>, pending: Pending) -> Result<(), Box<Pending>> {
        let places: Result<Vec<_>, _> =
            self.places(&pending).map(|places| places.clone().try_acquire_owned()).collect();
        match places {
            Ok(hold) => {
                self.start(pending, hold);
                Ok(())
            }
            Err(_) => Err(Box::new(pending)),
        }
    }

    /// Waits until every lane has room. Lanes are taken in file order by everybody, so that nobody waits in a circle.
    pub async fn start_when_free(self: Arc<Self>, pending: Pending) -> Result<(), AcquireError> {
        let mut hold = Vec::with_capacity(pending.bindings.len());
        for places in self.places(&pending) {
            hold.push(places.clone().acquire_owned().await?);
        }
        self.start(pending, hold);
        Ok(())
    }

    /// What the gateway itself publishes: wills, republished messages, dead letters. Never waits for a place in a lane.
    pub fn publish_internal(self: &Arc<Self>, inbound: Inbound) {
        let Some(pending) = self.deliver_and_match(inbound) else { return };
        match self.internal.clone().try_acquire_owned() {
            Ok(place) => self.start(pending, vec![place]),
            Err(_) => {
                self.counters.dropped_full.increment();
                let topic = &pending.inbound.message.topic;
                tracing::error!(%topic, "dropped: {MAX_INTERNAL} republished messages wait already");
                self.journal.change(pending.inbound.changes, pending.inbound.receipt);
            }
        }
    }

    fn deliver_and_match(&self, inbound: Inbound) -> Option<Pending> {
        let mut kept = self.bus.publish(&inbound.message, &inbound.origin.client, inbound.arrived);
        kept.changes.extend_from_slice(&inbound.changes);
        let bindings = self.table.matching(&inbound.message.topic);
        if bindings.is_empty() {
            self.counters.unbound.increment();
            if kept.is_empty() {
                inbound.receipt.resolve();
                return None;
            }
        }
        Some(Pending { inbound, kept, bindings })
    }

    /// Where a message needs a place, always in the same order. What is bounded by a lane needs no other: a slow plugin would
    /// fill that for everybody.
    fn places(&self, pending: &Pending) -> impl Iterator<Item = &Arc<Semaphore>> {
        let mut lanes = pending.bindings.iter().filter_map(|index| self.table.get(*index)?.lane.as_ref()).peekable();
        let storing = (lanes.peek().is_none() && !pending.kept.is_empty()).then_some(&self.storing);
        lanes.map(Lane::capacity).chain(storing)
    }

    fn start(self: &Arc<Self>, pending: Pending, hold: Vec<OwnedSemaphorePermit>) {
        let Pending { inbound, kept, bindings } = pending;
        if bindings.is_empty() {
            let Kept { changes, parcels } = kept;
            let record = Record { outputs: Vec::new(), changes, receipt: inbound.receipt, hold };
            return self.journal.commit(record, parcels);
        }
        self.counters.chain_in.add(bindings.len() as u64);
        let (message, origin) = (inbound.message.clone(), inbound.origin.clone());
        let gather = Arc::new(Gather::new(Input { inbound, kept, bindings: bindings.clone(), hold }));
        for (slot, index) in bindings.iter().enumerate() {
            let Some(binding) = self.table.get(*index) else { continue };
            let Some(lane) = &binding.lane else {
                self.finish(&gather, slot, Outcome::Outputs(vec![message.clone()]));
                continue;
            };
            let (dispatcher, gather) = (self.clone(), gather.clone());
            let done = Box::new(move |outcome| dispatcher.finish(&gather, slot, outcome));
            lane.push([Job { message: message.clone(), origin: origin.clone(), done }]);
        }
    }

    fn finish(self: &Arc<Self>, gather: &Gather, slot: usize, outcome: Outcome) {
        let Some(gathered) = gather.put(slot, outcome) else { return };
        let Input { inbound, kept, bindings, hold } = gathered.input;
        let Kept { changes, parcels } = kept;
        let mut record = Record { outputs: Vec::new(), changes, receipt: Receipt::none(), hold };
        let mut republish = Vec::new();
        for (index, outcome) in bindings.iter().zip(gathered.outcomes) {
            let Some(binding) = self.table.get(*index) else { continue };
            self.report(binding, &inbound, &outcome);
            let settled = settle(&self.gateway, &binding.spec, &inbound, outcome, &self.counters);
            let Settled { outputs, local } = settled;
            record.outputs.extend(outputs);
            republish.extend(local);
        }
        let mut further: Vec<Inbound> =
            republish.into_iter().filter_map(|message| self.further(message, &inbound)).collect();
        if !inbound.changes.is_empty() {
            record.changes.extend(further.iter_mut().map(|inbound| self.write_down(inbound)));
        }
        record.receipt = inbound.receipt;
        self.journal.commit(record, parcels);
        // After their cause: what they delete is written by then.
        further.into_iter().for_each(|inbound| self.publish_internal(inbound));
    }

    fn report(&self, binding: &Binding, inbound: &Inbound, outcome: &Outcome) {
        let Outcome::Failed(failure) = outcome else { return };
        if let Some(suppressed) = self.warnings.permit() {
            let (binding, topic) = (&binding.spec.name, &inbound.message.topic);
            tracing::warn!(%binding, %topic, suppressed, "{failure}");
        }
    }
}
