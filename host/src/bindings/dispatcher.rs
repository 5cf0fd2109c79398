//! From a message that arrived to a record in the spool.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{AcquireError, Semaphore};

use super::gather::{Gather, Gathered, Input};
use super::order::Order;
use super::places::{Held, kib};
use super::settle::{Republish, Settled, settle};
use super::table::{Binding, Table};
use super::ticks::Rung;
use super::{MAX_HOPS, MAX_INTERNAL_KIB};
use crate::bus::Bus;
use crate::chain::{Done, Job, Lane, Outcome};
use crate::control::counters::Counters;
use crate::control::rate_limit::RateLimit;
use crate::message::{Message, Origin, QoS};
use crate::spool::{Receipt, Record, Spool};
use crate::topic::NameError;

/// A message that a device or the gateway published, and the ack that waits for it.
#[derive(Debug)]
pub struct Inbound {
    pub message: Message,
    pub origin: Arc<Origin>,
    pub arrived: Instant,
    pub receipt: Receipt,
}

/// Delivered locally; waits for a place in the lanes of its bindings.
#[derive(Debug)]
pub struct Pending {
    inbound: Inbound,
    bindings: Arc<[usize]>,
}

pub struct Dispatcher {
    pub(super) gateway: String,
    pub(super) table: Table,
    bus: Arc<Bus>,
    pub(super) spool: Spool,
    pub(super) counters: Arc<Counters>,
    pub(super) order: Order<Leaving>,
    internal: Arc<Semaphore>,
    pub(super) warnings: RateLimit,
}

/// What leaves in order, where plugins remember something.
pub(super) enum Leaving {
    Input(Gathered),
    Tick(Rung),
}

impl Pending {
    /// Bytes that it keeps in memory.
    pub fn weight(&self) -> usize {
        self.inbound.message.weight()
    }

    /// Whether its device keeps it and sends it again, because it has no ack and no identity that we remember.
    pub fn will_be_resent(&self) -> bool {
        self.inbound.message.qos == QoS::AtLeastOnce
    }
}

// === impl Dispatcher ===

impl Dispatcher {
    pub fn new(gateway: String, table: Table, bus: Arc<Bus>, spool: Spool, counters: Arc<Counters>) -> Arc<Self> {
        let (internal, warnings) = (Arc::new(Semaphore::new(MAX_INTERNAL_KIB as usize)), RateLimit::per_second(5));
        let order = Order::default();
        Arc::new(Self { gateway, table, bus, spool, counters, order, internal, warnings })
    }

    /// Delivers to local subscribers at once. `None` when no binding matches: the message stays local and is done.
    pub fn receive(&self, inbound: Inbound) -> Option<Pending> {
        self.counters.received.increment();
        self.deliver_and_match(inbound)
    }

    /// Starts the chains when every binding has room; gives the message back when one has not.
    pub fn try_start(self: &Arc<Self>, pending: Pending) -> Result<(), Pending> {
        let mut held = Held::default();
        let mut bindings = self.bindings(&pending);
        if bindings.any(|binding| binding.places().try_take(&pending.inbound.message, &mut held).is_err()) {
            drop(bindings);
            return Err(pending);
        }
        drop(bindings);
        self.start(pending, held);
        Ok(())
    }

    /// Waits until every binding has room. Places are taken in file order by everybody, so that nobody waits in a circle.
    pub async fn start_when_free(self: Arc<Self>, pending: Pending) -> Result<(), AcquireError> {
        let mut held = Held::default();
        for binding in self.bindings(&pending) {
            binding.places().take(&pending.inbound.message, &mut held).await?;
        }
        self.start(pending, held);
        Ok(())
    }

    /// What the gateway itself publishes: wills, republished messages, dead letters. Never waits for a place in a lane.
    pub fn publish_internal(self: &Arc<Self>, inbound: Inbound) {
        let Some(pending) = self.deliver_and_match(inbound) else { return };
        match self.internal.clone().try_acquire_many_owned(kib(&pending.inbound.message)) {
            Ok(place) => self.start(pending, Held { chain: Vec::new(), record: vec![place] }),
            Err(_) => {
                self.counters.dropped_full.increment();
                let topic = &pending.inbound.message.topic;
                tracing::error!(?topic, "dropped: {MAX_INTERNAL_KIB} KiB of republished messages wait already");
                pending.inbound.receipt.resolve();
            }
        }
    }

    fn deliver_and_match(&self, inbound: Inbound) -> Option<Pending> {
        self.bus.publish(&inbound.message, &inbound.origin.client, inbound.arrived);
        let bindings = self.table.matching(&inbound.message.topic);
        if bindings.is_empty() {
            self.counters.unbound.increment();
            inbound.receipt.resolve();
            return None;
        }
        Some(Pending { inbound, bindings })
    }

    fn bindings(&self, pending: &Pending) -> impl Iterator<Item = &Binding> {
        pending.bindings.iter().filter_map(|index| self.table.get(*index))
    }

    fn start(self: &Arc<Self>, pending: Pending, held: Held) {
        let Pending { inbound, bindings } = pending;
        self.counters.chain_in.add(bindings.len() as u64);
        let lines = self.lines(&bindings);
        if lines.is_empty() {
            return self.push(Input { inbound, bindings, held, ticket: None });
        }
        self.order.enter(lines, |ticket| self.push(Input { inbound, bindings, held, ticket: Some(ticket) }));
    }

    /// Of the lanes that remember.
    fn lines(&self, bindings: &[usize]) -> Vec<usize> {
        let remembers = |index: &usize| {
            let lane = self.table.get(*index).and_then(|binding| binding.lane.as_ref());
            lane.is_some_and(Lane::is_stateful)
        };
        bindings.iter().copied().filter(remembers).collect()
    }

    fn push(self: &Arc<Self>, input: Input) {
        let (bindings, message, origin) =
            (input.bindings.clone(), input.inbound.message.clone(), input.inbound.origin.clone());
        let gather = Arc::new(Gather::new(input));
        for (slot, index) in bindings.iter().enumerate() {
            let Some(binding) = self.table.get(*index) else { continue };
            let Some(lane) = &binding.lane else {
                let outcome = Outcome::Outputs(vec![message.clone()]);
                self.finish(&gather, slot, Done { outcome, changes: Vec::new() });
                continue;
            };
            let (dispatcher, gather) = (self.clone(), gather.clone());
            let done = Box::new(move |done| dispatcher.finish(&gather, slot, done));
            lane.push([Job { message: message.clone(), origin: origin.clone(), done }]);
        }
    }

    fn finish(self: &Arc<Self>, gather: &Gather, slot: usize, done: Done) {
        let Some(gathered) = gather.put(slot, done) else { return };
        match gathered.input.ticket {
            Some(ticket) => self.order.complete(ticket, Leaving::Input(gathered), |leaving| self.leave(leaving)),
            None => self.conclude(gathered),
        }
    }

    pub(super) fn leave(self: &Arc<Self>, leaving: Leaving) {
        match leaving {
            Leaving::Input(gathered) => self.conclude(gathered),
            Leaving::Tick(rung) => self.rung(rung),
        }
    }

    fn conclude(self: &Arc<Self>, gathered: Gathered) {
        let Input { inbound, bindings, held, .. } = gathered.input;
        let mut record =
            Record { outputs: Vec::new(), changes: Vec::new(), receipt: Receipt::none(), hold: Vec::new() };
        let mut republish = Vec::new();
        for (index, Done { outcome, changes }) in bindings.iter().zip(gathered.outcomes) {
            record.changes.extend(changes);
            let Some(binding) = self.table.get(*index) else { continue };
            self.report(binding, &inbound, &outcome);
            let settled = settle(&self.gateway, &binding.spec, &inbound, outcome, &self.counters);
            let Settled { outputs, local, unroutable } = settled;
            self.complain(binding, &inbound, unroutable);
            record.outputs.extend(outputs);
            republish.extend(local);
        }
        for message in republish {
            self.republish(message, &inbound);
        }
        // What a plugin remembers waits for the spool, as what it puts out at QoS 1 and 2 does.
        let is_written = record.outputs.iter().any(|output| output.message.qos > QoS::AtMostOnce);
        record.hold = held.for_record(is_written || !record.changes.is_empty());
        record.receipt = inbound.receipt;
        self.spool.commit(record);
    }

    /// One hop further, with a share of the ack: the device is told when all of it is safe.
    pub(super) fn republish(self: &Arc<Self>, Republish(message): Republish, cause: &Inbound) {
        let hops = cause.origin.hops + 1;
        if hops > MAX_HOPS {
            self.counters.looped.increment();
            if let Some(suppressed) = self.warnings.permit() {
                tracing::error!(topic = ?message.topic, suppressed, "dropped after {MAX_HOPS} hops: bindings republish in a circle");
            }
            return;
        }
        self.counters.republished.increment();
        let origin = Arc::new(Origin { hops, ..(*cause.origin).clone() });
        let receipt = cause.receipt.split();
        self.publish_internal(Inbound { message, origin, arrived: cause.arrived, receipt });
    }

    pub(super) fn complain(&self, binding: &Binding, inbound: &Inbound, unroutable: Option<NameError>) {
        let Some(error) = unroutable else { return };
        if let Some(suppressed) = self.warnings.permit() {
            let (binding, topic, client) = (&binding.spec.name, &inbound.message.topic, &inbound.origin.client);
            tracing::warn!(%binding, ?topic, ?client, suppressed, "dropped, no topic for it: {error}");
        }
    }

    fn report(&self, binding: &Binding, inbound: &Inbound, outcome: &Outcome) {
        let Outcome::Failed(failure) = outcome else { return };
        if let Some(suppressed) = self.warnings.permit() {
            let (binding, topic) = (&binding.spec.name, &inbound.message.topic);
            tracing::warn!(%binding, ?topic, suppressed, "{failure}");
        }
    }
}
