//! From a message that arrived to a record in the spool.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::{ArcSwap, Guard};
use smallvec::{SmallVec, smallvec};
use tokio::sync::AcquireError;

use super::MAX_HOPS;
use super::account::Account;
use super::gather::{Gather, Gathered, Input};
use super::internal::Internal;
use super::letter_limit::LetterLimit;
use super::order::{Line, Order};
use super::places::{Held, Places};
use super::route::Inbound;
use super::table::{Bindings, Table};
use super::ticks::FinishedTick;
use super::traced;
use crate::base::fault::{self, Fault};
use crate::base::rate_limit::RateLimit;
use crate::bus::{Bus, Journal, Kept};
use crate::chain::{Done, Job, Lane, Outcome, Rank};
use crate::config::{BindingId, UpstreamId};
use crate::message::{Message, Origin, QoS};
use crate::metrics::{Counters, ListenerMetrics};
use crate::spool::{Hold, Place, Record, Spool};
use crate::tap::{self, Taps};

/// Delivered locally; waits for a place in the lanes of its bindings, and in the journal when it keeps something.
#[derive(Debug)]
pub struct Pending {
    inbound: Inbound,
    kept: Kept,
    bindings: Bindings,
    account: Account,
    /// What caused it, and waits for it.
    pub(super) cause: Option<Place>,
}

pub struct Dispatcher {
    pub(super) gateway: String,
    table: ArcSwap<Table>,
    pub(super) bus: Arc<Bus>,
    pub(super) journal: Arc<Journal>,
    pub(super) counters: Arc<Counters>,
    /// Of messages that keep something and are bounded by no binding; for each hop, as in a binding: who holds one until what it causes
    /// has its own must not wait for its like.
    local: [Places; MAX_HOPS as usize + 1],
    pub(super) order: Order<Leaving>,
    pub(super) internal: Internal,
    pub(super) next_unfinished: AtomicU64,
    pub(super) warnings: RateLimit,
    pub(super) letter_limit: LetterLimit,
    pub(super) taps: Arc<Taps>,
}

/// What leaves in order, where plugins remember something.
pub(super) enum Leaving {
    Input(Box<Gathered>),
    Tick(FinishedTick),
}

// === impl Pending ===

impl Pending {
    /// Whose it is, and whose places it takes, for which hop.
    pub(super) fn line(&self) -> (u8, Bindings, Arc<str>) {
        let Origin { client, hops, .. } = &*self.inbound.origin;
        (*hops, self.bindings.clone(), client.clone())
    }

    /// Whether somebody waits for its outcome, or it is written down: then it may wait, but never go. What has a cause with places is
    /// bounded by them, and waits as well.
    pub(super) fn is_promised(&self) -> bool {
        self.inbound.is_promised() || self.cause.is_some()
    }

    pub(super) fn message(&self) -> &Message {
        &self.inbound.message
    }

    /// Nobody waits for it, and its bindings have no place for it: what is left is what it does locally.
    pub(super) fn give_up(self, counters: &Counters) -> Kept {
        counters.dropped_full.increment();
        traced::tell_dropped(&self.inbound);
        self.account.settle();
        if fault::is_on(Fault::InternalDropped) {
            self.inbound.receipt.nothing_to_keep();
        }
        self.kept
    }

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
        let (internal, local) = (Internal::new(), std::array::from_fn(|_| Places::local()));
        let (journal, warnings) = (Arc::new(Journal::new(spool, bus.clone())), RateLimit::per_second(5));
        let (next_unfinished, order) = (AtomicU64::new(0), Order::default());
        let (table, letter_limit) = (table.counted(&counters), LetterLimit::new());
        Arc::new(Self {
            gateway,
            table: ArcSwap::from_pointee(table),
            bus,
            journal,
            counters,
            local,
            order,
            internal,
            next_unfinished,
            warnings,
            letter_limit,
            taps: Arc::default(),
        })
    }

    /// The bindings of this moment. A step asks once: what it begins with one table, it ends with that.
    pub(super) fn table(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// The same for who keeps it for a while.
    pub fn shared_table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// From now on messages meet these bindings. What was begun with the others ends as it would have.
    pub fn replace_table(&self, next: Table) {
        self.table.store(Arc::new(next));
    }

    /// Where everything that must survive is written.
    pub fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// For who wants to see what becomes of messages.
    pub fn taps(&self) -> &Arc<Taps> {
        &self.taps
    }

    /// Delivers to local subscribers. `None` when no binding matches and nothing is to be written: the message is done.
    pub fn receive(self: &Arc<Self>, inbound: Inbound, from: &ListenerMetrics) -> Option<Pending> {
        from.received.increment();
        self.deliver_and_match(inbound)
    }

    /// What an upstream has sent: for the bindings that are `from` it, and for nobody else. Local subscribers have what one of these makes
    /// of it for them. Whether a binding wants it is said, too: what none does is done all the same.
    pub fn receive_from(self: &Arc<Self>, upstream: UpstreamId, inbound: Inbound) -> (Option<Pending>, bool) {
        let table = self.table();
        let bindings = table.matching_from(upstream, &inbound.message.topic);
        let (kept, is_wanted) = (Kept { changes: inbound.changes.clone(), ..Kept::default() }, !bindings.is_empty());
        (self.matched(inbound, kept, &table, bindings), is_wanted)
    }

    /// Starts the chains when every binding has room; gives the message back when one has not.
    pub fn try_start(self: &Arc<Self>, pending: Pending) -> Result<(), Box<Pending>> {
        match self.try_take(&pending) {
            Some(held) => {
                self.start(pending, held);
                Ok(())
            }
            None => Err(Box::new(pending)),
        }
    }

    /// Waits until every binding has room. Places are taken in the same order by everybody, so that nobody waits in a circle.
    pub async fn start_when_free(self: Arc<Self>, pending: Pending) -> Result<(), AcquireError> {
        let (message, mut held, table) = (&pending.inbound.message, Held::default(), self.shared_table());
        for places in places(&table, &pending) {
            places.take(message, &mut held).await?;
        }
        if let Some(local) = self.unbounded(&pending, &held) {
            local.take(message, &mut held).await?;
        }
        self.start(pending, held);
        Ok(())
    }

    pub(super) fn try_take(&self, pending: &Pending) -> Option<Held> {
        let (message, mut held, table) = (&pending.inbound.message, Held::default(), self.table());
        places(&table, pending).try_for_each(|places| places.try_take(message, &mut held)).ok()?;
        if let Some(local) = self.unbounded(pending, &held) {
            local.try_take(message, &mut held).ok()?;
        }
        Some(held)
    }

    /// A dead letter, for its binding alone: local subscribers have heard it, and other bindings have had it. `None` when there
    /// is no such binding.
    pub fn again(self: &Arc<Self>, mut inbound: Inbound, binding: &str) -> Option<Pending> {
        let table = self.table();
        let id = table.find(binding)?;
        if tap::is_on() {
            self.trace(&table, &mut inbound, &[id]);
        }
        let (kept, account) = (Kept::default(), Account::open(self));
        Some(Pending { inbound, kept, bindings: smallvec![id], account, cause: None })
    }

    pub(super) fn deliver_and_match(self: &Arc<Self>, inbound: Inbound) -> Option<Pending> {
        let mut kept = self.bus.publish(&inbound.message, &*inbound.origin, inbound.arrived);
        kept.changes.extend_from_slice(&inbound.changes);
        self.match_delivered(inbound, kept)
    }

    /// `kept` is what its local delivery has left to be written.
    pub(super) fn match_delivered(self: &Arc<Self>, inbound: Inbound, kept: Kept) -> Option<Pending> {
        let table = self.table();
        let bindings = table.matching(&inbound.message.topic);
        self.matched(inbound, kept, &table, bindings)
    }

    fn matched(
        self: &Arc<Self>,
        mut inbound: Inbound,
        kept: Kept,
        table: &Table,
        bindings: Bindings,
    ) -> Option<Pending> {
        if tap::is_on() {
            self.trace(table, &mut inbound, &bindings);
        }
        if bindings.is_empty() && kept.is_empty() {
            self.counters.unmatched.increment();
            inbound.receipt.nothing_to_keep();
            return None;
        }
        let account = Account::open(self);
        Some(Pending { inbound, kept, bindings, account, cause: None })
    }

    /// What keeps something here, and is bounded by no binding, takes a place among its like. What a binding bounds needs no
    /// other: a slow plugin would fill that for everybody.
    fn unbounded(&self, pending: &Pending, held: &Held) -> Option<&Places> {
        let hops = pending.inbound.origin.hops.min(MAX_HOPS);
        let needs_one = held.record.is_empty() && !pending.kept.is_empty();
        self.local.get(usize::from(hops)).filter(|_| needs_one)
    }

    pub(super) fn start(self: &Arc<Self>, pending: Pending, mut held: Held) {
        let Pending { inbound, kept, mut bindings, account, cause } = pending;
        held.record.extend(cause);
        let table = self.table();
        // It may have waited over a reload.
        bindings.retain(|id| table.is_used(*id));
        if bindings.is_empty() {
            self.counters.unmatched.increment();
            account.settle();
            let Kept { changes, pending_deliveries } = kept;
            let record = Record { hold: held.record, ..Record::changes(changes, inbound.receipt) };
            return self.journal.commit(record, pending_deliveries);
        }
        for binding in bindings.iter().filter_map(|id| table.get(*id)) {
            binding.metrics.inputs.increment();
        }
        let lines = lines(&table, &bindings, &inbound.origin);
        if lines.is_empty() {
            let input = Input { inbound, kept, bindings, held, account, ticket: None, is_fixed: false };
            return Self::push(&table, input.into());
        }
        let has_lane = bindings.iter().any(|id| lane(&table, *id).is_some());
        let is_fixed = lines.len() > 1;
        let input = |ticket| Input { inbound, kept, bindings, held, account, ticket: Some(ticket), is_fixed }.into();
        if has_lane {
            return self.order.enter(lines, |ticket| Self::push(&table, input(ticket)));
        }
        // It is complete at once, and what is complete takes the lock of the order.
        let ticket = self.order.enter(lines, |ticket| ticket);
        Self::push(&table, input(ticket));
    }

    fn push(table: &Table, input: Box<Input>) {
        let (message, origin) = (input.inbound.message.clone(), input.inbound.origin.clone());
        if let [id] = *input.bindings {
            return Self::push_alone(table, id, message, origin, input);
        }
        let (bindings, may_wait) = (input.bindings.clone(), input.may_wait());
        let ranks: SmallVec<[Rank; 4]> =
            bindings.iter().map(|id| lane(table, *id).map_or(Rank::Client, |lane| input.rank(lane))).collect();
        let gather = Arc::new(Gather::new(input));
        let lanes = || {
            let lane = |id: &BindingId| table.get(*id).map(|binding| binding.lane.as_ref());
            bindings.iter().map(lane).enumerate().filter_map(|(slot, lane)| Some((slot, lane?)))
        };
        // Those without a lane are done at once, and before the others: were one of them the last outcome, it would leave here, where
        // the order may be locked for its ticket.
        for (slot, _) in lanes().filter(|(_, lane)| lane.is_none()) {
            let outcome = Outcome::Outputs(vec![message.clone()]);
            Self::finish(&gather, slot, Done::of(outcome));
        }
        for (slot, lane) in lanes().filter_map(|(slot, lane)| Some((slot, lane?))) {
            let gather = gather.clone();
            let done = Box::new(move |done| Self::finish(&gather, slot, done));
            let rank = ranks.get(slot).copied().unwrap_or_default();
            lane.push([Job { message: message.clone(), origin: origin.clone(), may_wait, rank, done }]);
        }
    }

    /// One binding, as usual: nothing is to be gathered.
    fn push_alone(table: &Table, id: BindingId, message: Message, origin: Arc<Origin>, input: Box<Input>) {
        let Some(binding) = table.get(id) else { return };
        let Some(lane) = &binding.lane else {
            let outcome = Outcome::Outputs(vec![message]);
            return Self::complete(Gathered::of_one(input, Done::of(outcome)));
        };
        let (may_wait, rank) = (input.may_wait(), input.rank(lane));
        lane.push([Job { message, origin, may_wait, rank, done: input }]);
    }

    fn finish(gather: &Gather, slot: usize, done: Done) {
        if let Some(gathered) = gather.put(slot, done) {
            Self::complete(gathered);
        }
    }

    pub(super) fn complete(gathered: Gathered) {
        let Some(ticket) = gathered.input.ticket else { return Self::conclude(gathered) };
        let dispatcher = gathered.input.account.dispatcher().clone();
        dispatcher.order.complete(ticket, Leaving::Input(gathered.into()), |leaving| dispatcher.leave(leaving));
    }

    pub(super) fn leave(self: &Arc<Self>, leaving: Leaving) {
        match leaving {
            Leaving::Input(gathered) => Self::conclude(*gathered),
            Leaving::Tick(finished) => self.finish_tick(finished),
        }
    }
}

fn places<'a>(table: &'a Table, pending: &'a Pending) -> impl Iterator<Item = &'a Places> {
    let hops = pending.inbound.origin.hops;
    pending.bindings.iter().filter_map(move |id| Some(table.get(*id)?.places(hops)))
}

/// Of the lanes that remember, and of the client where a binding wants all of its messages in order.
fn lines(table: &Table, bindings: &[BindingId], origin: &Origin) -> Vec<Line> {
    let remembers = |id: &BindingId| lane(table, *id).is_some_and(Lane::is_stateful);
    let mut lines: Vec<_> = bindings.iter().copied().filter(remembers).map(Line::Binding).collect();
    if !table.by_client(bindings).is_empty() {
        lines.push(Line::Client { client: origin.client.clone(), hops: origin.hops });
    }
    lines
}

pub(super) fn lane(table: &Table, id: BindingId) -> Option<&Lane> {
    table.get(id)?.lane.as_ref()
}

/// Makes places such that others can hold them as well.
pub(super) fn share(hold: &mut Hold) -> Option<Arc<Hold>> {
    if hold.is_empty() {
        return None;
    }
    let shared = Arc::new(std::mem::take(hold));
    hold.push(Place::Shared(shared.clone()));
    Some(shared)
}
