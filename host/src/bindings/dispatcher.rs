//! From a message that arrived to a record in the spool.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use smallvec::smallvec;
use tokio::sync::{AcquireError, Semaphore};

use super::MAX_INTERNAL_KIB;
use super::account::Account;
use super::gather::{Gather, Gathered, Input};
use super::letter::dead_letter;
use super::order::Order;
use super::places::{Held, Places, kib};
use super::route::{Inbound, Routed, route};
use super::table::{Binding, Table};
use super::ticks::FinishedTick;
use crate::base::rate_limit::RateLimit;
use crate::bus::{Bus, Journal, Kept};
use crate::chain::{Done, Job, Lane, Outcome};
use crate::config::{BindingId, OnError};
use crate::message::{Message, Origin, QoS};
use crate::metrics::Counters;
use crate::spool::{Output, Receipt, Record, Spool};
use crate::topic::NameError;

/// Delivered locally; waits for a place in the lanes of its bindings, and in the journal when it keeps something.
#[derive(Debug)]
pub struct Pending {
    inbound: Inbound,
    kept: Kept,
    bindings: Arc<[BindingId]>,
    account: Account,
}

pub struct Dispatcher {
    pub(super) gateway: String,
    pub(super) table: Table,
    bus: Arc<Bus>,
    pub(super) journal: Arc<Journal>,
    pub(super) counters: Arc<Counters>,
    /// Of messages that keep something and are bounded by no binding.
    local: Places,
    pub(super) order: Order<Leaving>,
    internal: Arc<Semaphore>,
    pub(super) next_unfinished: AtomicU64,
    pub(super) warnings: RateLimit,
}

/// What leaves in order, where plugins remember something.
pub(super) enum Leaving {
    Input(Box<Gathered>),
    Tick(FinishedTick),
}

// === impl Pending ===

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
        let (internal, local) = (Arc::new(Semaphore::new(MAX_INTERNAL_KIB as usize)), Places::local());
        let (journal, warnings) = (Arc::new(Journal::new(spool, bus.clone())), RateLimit::per_second(5));
        let (next_unfinished, order) = (AtomicU64::new(0), Order::default());
        Arc::new(Self { gateway, table, bus, journal, counters, local, order, internal, next_unfinished, warnings })
    }

    /// Where everything that must survive is written.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Delivers to local subscribers. `None` when no binding matches and nothing is to be written: the message is done.
    pub fn receive(&self, inbound: Inbound) -> Option<Pending> {
        self.counters.received.increment();
        self.deliver_and_match(inbound)
    }

    /// Starts the chains when every binding has room; gives the message back when one has not.
    pub fn try_start(self: &Arc<Self>, pending: Pending) -> Result<(), Box<Pending>> {
        let (message, mut held) = (&pending.inbound.message, Held::default());
        let mut bindings = self.bindings(&pending);
        let taken = bindings.try_for_each(|binding| binding.places().try_take(message, &mut held));
        drop(bindings);
        let taken = match self.unbounded(&pending, &held) {
            Some(local) => taken.and_then(|()| local.try_take(message, &mut held)),
            None => taken,
        };
        if taken.is_err() {
            return Err(Box::new(pending));
        }
        self.start(pending, held);
        Ok(())
    }

    /// Waits until every binding has room. Places are taken in the same order by everybody, so that nobody waits in a circle.
    pub async fn start_when_free(self: Arc<Self>, pending: Pending) -> Result<(), AcquireError> {
        let (message, mut held) = (&pending.inbound.message, Held::default());
        for binding in self.bindings(&pending) {
            binding.places().take(message, &mut held).await?;
        }
        if let Some(local) = self.unbounded(&pending, &held) {
            local.take(message, &mut held).await?;
        }
        self.start(pending, held);
        Ok(())
    }

    /// What the gateway itself publishes: wills, republished messages, dead letters. Never waits for a place in a lane.
    pub fn publish_internal(self: &Arc<Self>, inbound: Inbound) {
        self.counters.internal.increment();
        let Some(pending) = self.deliver_and_match(inbound) else { return };
        match self.internal.clone().try_acquire_many_owned(kib(&pending.inbound.message)) {
            Ok(place) => self.start(pending, Held { record: smallvec![place], ..Held::default() }),
            Err(_) => {
                self.counters.dropped_full.increment();
                let topic = &pending.inbound.message.topic;
                tracing::error!(?topic, "dropped: {MAX_INTERNAL_KIB} KiB of republished messages wait already");
                pending.account.settle();
                self.journal.change(pending.kept.changes, pending.inbound.receipt);
            }
        }
    }

    /// A dead letter, for its binding alone: local subscribers have heard it, and other bindings have had it. `None` when there
    /// is no such binding.
    pub fn again(&self, inbound: Inbound, binding: &str) -> Option<Pending> {
        let id = self.table.find(binding)?;
        let (kept, account) = (Kept::default(), Account::open(self.counters.clone()));
        Some(Pending { inbound, kept, bindings: [id].into(), account })
    }

    fn deliver_and_match(&self, inbound: Inbound) -> Option<Pending> {
        let mut kept = self.bus.publish(&inbound.message, &inbound.origin.client, inbound.arrived);
        kept.changes.extend_from_slice(&inbound.changes);
        let bindings = self.table.matching(&inbound.message.topic);
        if bindings.is_empty() && kept.is_empty() {
            self.counters.unmatched.increment();
            inbound.receipt.resolve();
            return None;
        }
        Some(Pending { inbound, kept, bindings, account: Account::open(self.counters.clone()) })
    }

    fn bindings(&self, pending: &Pending) -> impl Iterator<Item = &Binding> {
        pending.bindings.iter().filter_map(|id| self.table.get(*id))
    }

    /// What keeps something here, and is bounded by no binding, takes a place among its like. What a binding bounds needs no
    /// other: a slow plugin would fill that for everybody.
    fn unbounded(&self, pending: &Pending, held: &Held) -> Option<&Places> {
        (held.record.is_empty() && !pending.kept.is_empty()).then_some(&self.local)
    }

    fn start(self: &Arc<Self>, pending: Pending, held: Held) {
        let Pending { inbound, kept, bindings, account } = pending;
        if bindings.is_empty() {
            self.counters.unmatched.increment();
            account.settle();
            let Kept { changes, parcels } = kept;
            let record = Record { hold: held.record, ..Record::changes(changes, inbound.receipt) };
            return self.journal.commit(record, parcels);
        }
        self.counters.chain_inputs.add(bindings.len() as u64);
        let lines = self.lines(&bindings);
        if lines.is_empty() {
            return self.push(Input { inbound, kept, bindings, held, account, ticket: None });
        }
        let input = |ticket| Input { inbound, kept, bindings, held, account, ticket: Some(ticket) };
        self.order.enter(lines, |ticket| self.push(input(ticket)));
    }

    /// Of the lanes that remember.
    fn lines(&self, bindings: &[BindingId]) -> Vec<BindingId> {
        let remembers = |id: &BindingId| {
            let lane = self.table.get(*id).and_then(|binding| binding.lane.as_ref());
            lane.is_some_and(Lane::is_stateful)
        };
        bindings.iter().copied().filter(remembers).collect()
    }

    fn push(self: &Arc<Self>, input: Input) {
        let (message, origin) = (input.inbound.message.clone(), input.inbound.origin.clone());
        let bindings = input.bindings.clone();
        if let [id] = *bindings {
            return self.push_alone(id, message, origin, input);
        }
        let gather = Arc::new(Gather::new(input));
        let lanes = || {
            let lane = |id: &BindingId| self.table.get(*id).map(|binding| binding.lane.as_ref());
            bindings.iter().map(lane).enumerate().filter_map(|(slot, lane)| Some((slot, lane?)))
        };
        // Those without a lane are done at once, and before the others: were one of them the last outcome, it would leave here, where
        // the order may be locked for its ticket.
        for (slot, _) in lanes().filter(|(_, lane)| lane.is_none()) {
            let outcome = Outcome::Outputs(vec![message.clone()]);
            self.finish(&gather, slot, Done { outcome, changes: Vec::new() });
        }
        for (slot, lane) in lanes().filter_map(|(slot, lane)| Some((slot, lane?))) {
            let (dispatcher, gather) = (self.clone(), gather.clone());
            let done = Box::new(move |done| dispatcher.finish(&gather, slot, done));
            lane.push([Job { message: message.clone(), origin: origin.clone(), done }]);
        }
    }

    /// One binding, as usual: nothing is to be gathered.
    fn push_alone(self: &Arc<Self>, id: BindingId, message: Message, origin: Arc<Origin>, input: Input) {
        let Some(binding) = self.table.get(id) else { return };
        let Some(lane) = &binding.lane else {
            let outcome = Outcome::Outputs(vec![message]);
            return self.complete(Gathered::of_one(input, Done { outcome, changes: Vec::new() }));
        };
        let dispatcher = self.clone();
        let done = Box::new(move |done| dispatcher.complete(Gathered::of_one(input, done)));
        lane.push([Job { message, origin, done }]);
    }

    fn finish(self: &Arc<Self>, gather: &Gather, slot: usize, done: Done) {
        if let Some(gathered) = gather.put(slot, done) {
            self.complete(gathered);
        }
    }

    fn complete(self: &Arc<Self>, gathered: Gathered) {
        match gathered.input.ticket {
            Some(ticket) => self.order.complete(ticket, Leaving::Input(gathered.into()), |leaving| self.leave(leaving)),
            None => self.conclude(gathered),
        }
    }

    pub(super) fn leave(self: &Arc<Self>, leaving: Leaving) {
        match leaving {
            Leaving::Input(gathered) => self.conclude(*gathered),
            Leaving::Tick(finished) => self.finish_tick(finished),
        }
    }

    fn conclude(self: &Arc<Self>, gathered: Gathered) {
        let Input { mut inbound, kept, bindings, held, account, .. } = gathered.input;
        self.counters.fan_out.add(bindings.len().saturating_sub(1) as u64);
        let Kept { changes, parcels } = kept;
        let mut record = Record::changes(changes, Receipt::none());
        let (mut republish, mut remembered) = (Vec::new(), false);
        for (id, Done { outcome, changes }) in bindings.iter().zip(gathered.outcomes) {
            remembered |= !changes.is_empty();
            record.changes.extend(changes);
            let Some(binding) = self.table.get(*id) else { continue };
            self.report(binding, &inbound, &outcome);
            record.outputs.extend(self.letter(binding, &inbound, &outcome));
            let routed = route(&self.gateway, &binding.spec, &inbound, outcome, &self.counters);
            let Routed { mut outputs, local, unroutable } = routed;
            self.complain(binding, &inbound, unroutable);
            // As usual it is the first and only one, and takes no memory of its own.
            if record.outputs.is_empty() {
                record.outputs = outputs
            } else {
                record.outputs.append(&mut outputs)
            }
            republish.extend(local);
        }
        let mut further: Vec<Inbound> =
            republish.into_iter().filter_map(|message| self.further(message, &mut inbound)).collect();
        // What would not be made again in the same way, when the gateway dies before it is written.
        if remembered || !inbound.changes.is_empty() {
            record.changes.extend(further.iter_mut().map(|inbound| self.write_down(inbound)));
        }
        let keeps_something = !record.outputs.iter().all(Output::is_qos0) || !record.changes.is_empty();
        record.hold = held.for_record(keeps_something);
        record.receipt = inbound.receipt;
        self.journal.commit(record, parcels);
        account.settle();
        // After their cause: what they delete is written by then.
        further.into_iter().for_each(|inbound| self.publish_internal(inbound));
    }

    pub(super) fn complain(&self, binding: &Binding, inbound: &Inbound, unroutable: Option<NameError>) {
        let Some(error) = unroutable else { return };
        if let Some(suppressed) = self.warnings.permit() {
            let (binding, topic, client) = (&binding.spec.name, &inbound.message.topic, &inbound.origin.client);
            tracing::warn!(%binding, ?topic, ?client, suppressed, "dropped, no topic for it: {error}");
        }
    }

    /// For the archive, in the same record as everything else: what becomes of the message is safe as a whole.
    fn letter(&self, binding: &Binding, inbound: &Inbound, outcome: &Outcome) -> Option<Output> {
        let (Outcome::Failed(failure), OnError::DeadLetter { .. }) = (outcome, &binding.spec.on_error) else {
            return None;
        };
        let line = self.journal.dead_letters()?;
        dead_letter(binding, inbound, failure).output(line, inbound.arrived).ok()
    }

    fn report(&self, binding: &Binding, inbound: &Inbound, outcome: &Outcome) {
        let Outcome::Failed(failure) = outcome else { return };
        if let Some(suppressed) = self.warnings.permit() {
            let (binding, topic) = (&binding.spec.name, &inbound.message.topic);
            tracing::warn!(%binding, ?topic, suppressed, "{failure}");
        }
    }
}
