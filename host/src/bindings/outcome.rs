//! From the outcomes of an input to its record.
//!
//! **An input is taken over whole or not at all.** What it causes stands in its record, and in the records of what is republished, which
//! come later. So that no later part is refused when an earlier one is safe, each record is made to fit before it is committed:
//!
//! - **Nothing of it is safe yet**: the input is refused, with all that it would have caused, and its device is told.
//! - **It has begun**, because it was republished, or written down as unfinished: its device may have been told that it is safe, and
//!   what came before it may be on its way. Then it has failed, like one whose plugin makes too much, and takes the `on_error`
//!   of its bindings. A process that dies in between finds it unfinished, and comes to the same end.

use std::sync::Arc;

use smallvec::SmallVec;

use super::caused::{Begun, Caused, Letter};
use super::counts::Counts;
use super::dispatcher::{Dispatcher, share};
use super::gather::{Gathered, Input};
use super::letter::{dead_letter, of_input};
use super::order::Ticket;
use super::places::Held;
use super::route::{Inbound, Routed, bounded, route, too_large, too_many};
use super::table::Binding;
use super::{traced, unfinished};
use crate::base::excerpt::brief;
use crate::bus::{Kept, PendingDelivery};
use crate::chain::{Done, Failure, Outcome};
use crate::config::BindingId;
use crate::message::Message;
use crate::plugin::FailureKind;
use crate::spool::{Change, Key, Output, Place, Receipt, Record};

/// Bytes of outputs that a place allows its input: with them, as many inputs as there are places make 16 MiB.
const LIGHT: usize = 4 << 10;

/// What all bindings together made of an input.
#[derive(Default)]
struct Settled {
    outputs: Vec<Output>,
    /// For the local bus, one hop further.
    local: Vec<Message>,
    /// With these, what its input has caused.
    caused: Option<Arc<Caused>>,
    /// In the place of one of what it has caused.
    has_letter_of_input: bool,
    /// Of each binding, what is counted and told. Usually one, which takes no memory of its own.
    told: SmallVec<[Told; 1]>,
}

struct Told {
    binding: BindingId,
    counts: Counts,
    failure: Option<Box<Failure>>,
}

impl Dispatcher {
    pub(super) fn conclude(gathered: Gathered) {
        let Gathered { input, outcomes } = gathered;
        let Input { mut inbound, kept, bindings, held, account, ticket, .. } = *input;
        let (this, Kept { mut changes, pending_deliveries }) = (account.dispatcher(), kept);
        let before = changes.len();
        if inbound.message.retain && may_be_late(&outcomes, ticket) {
            this.bus.refresh(&mut changes);
        }
        let most = this.journal.max_record() / 2;
        let made = outcomes.into_iter().map(|Done { outcome, changes: mut remembered, skipped, .. }| {
            changes.append(&mut remembered);
            (bounded(outcome, &inbound.message, bindings.len(), most), skipped)
        });
        let mut settled = this.settle(&bindings, &inbound, made);
        let has_memory = changes.len() > before;
        let (outputs, trace) = (std::mem::take(&mut settled.outputs), inbound.origin.trace.clone());
        let mut record = Record { outputs, trace, ..Record::changes(changes, Receipt::none()) };
        if !this.has_room(&record, &settled.local, &inbound) {
            if !inbound.is_begun() && !inbound.receipt.is_none() {
                this.tell(&inbound, &settled);
                this.journal.refuse(Record { receipt: inbound.receipt, ..record });
                return account.settle();
            }
            if inbound.is_begun() {
                if settled.has_letter_of_input {
                    inbound.caused.iter().for_each(|caused| caused.return_letter());
                }
                settled = this.fail(&bindings, &inbound, &mut record);
            }
        }
        this.tell(&inbound, &settled);
        inbound.caused = settled.caused;
        this.commit(record, pending_deliveries, settled.local, inbound, (&bindings, held, has_memory));
        account.settle();
    }

    /// Routes what each binding made.
    fn settle(
        &self,
        bindings: &[BindingId],
        inbound: &Inbound,
        made: impl IntoIterator<Item = (Outcome, Option<Box<Failure>>)>,
    ) -> Settled {
        let mut settled = Settled::default();
        for (place, (id, (outcome, skipped))) in bindings.iter().zip(made).enumerate() {
            let Some(binding) = self.table.get(*id) else { continue };
            let mut routed = route(&self.gateway, &binding.spec, inbound, outcome).without(skipped);
            let mut is_told = true;
            if !routed.local.is_empty() {
                let caused = settled.caused.get_or_insert_with(|| allowance((*id, binding), inbound));
                if inbound.caused.is_none() && place > 0 {
                    caused.begins_at(*id);
                }
                if !caused.take(&routed.local) {
                    (routed, is_told) = (self.limit(binding, inbound, caused), caused.is_to_tell());
                }
            }
            self.letter_limit.apply(binding, inbound, &mut routed);
            if routed.is_dead {
                self.limit_letters(inbound, &mut routed, &mut settled);
            }
            routed.counts.fan_out += u32::from(place > 0);
            settled.outputs.extend(self.letter(binding, inbound, &routed));
            // As usual it is the first and only one, and takes no memory of its own.
            if settled.outputs.is_empty() {
                settled.outputs = std::mem::take(&mut routed.outputs)
            } else {
                settled.outputs.append(&mut routed.outputs)
            }
            settled.local.append(&mut routed.local);
            let Routed { counts, failure, .. } = routed;
            settled.told.push(Told { binding: *id, counts, failure: failure.filter(|_| is_told) });
        }
        settled
    }

    /// Of what one input causes: see [`Caused`].
    fn limit_letters(&self, inbound: &Inbound, routed: &mut Routed, settled: &mut Settled) {
        match inbound.caused.as_ref().map(|caused| caused.letter()) {
            None | Some(Letter::Own) => {}
            Some(Letter::Limited) => routed.limit_letter(),
            Some(Letter::OfInput(begun)) => {
                // Counted as this one, in whose place it is.
                (routed.is_dead, settled.has_letter_of_input) = (false, true);
                routed.local.clear();
                settled.outputs.extend(self.letters_of_input(begun, inbound, routed));
            }
        }
    }

    fn letters_of_input(&self, begun: Begun, last: &Inbound, routed: &Routed) -> Vec<Output> {
        let Some((failure, line)) = routed.failure.as_ref().zip(self.journal.dead_letters()) else { return Vec::new() };
        let failure = of_input(failure, last);
        let bindings = begun.bindings.clone();
        let (input, arrived) = (begun.into_inbound(), last.arrived);
        let bindings = bindings.iter().filter_map(|id| self.table.get(*id));
        bindings.filter_map(|binding| dead_letter(binding, &input, &failure).output(line, arrived).ok()).collect()
    }

    /// Its input has caused too much: it has failed.
    fn limit(&self, binding: &Binding, inbound: &Inbound, caused: &Caused) -> Routed {
        let mut routed = route(&self.gateway, &binding.spec, inbound, Outcome::Failed(too_many().into()));
        // For those who listen for dead letters; the archive has its own.
        if !caused.take(&routed.local) {
            routed.local.clear();
        }
        routed
    }

    /// All of it has failed. Where not even that has room, the live view of dead letters goes first; what is left then is told as lost
    /// by the spool, and ends all the same.
    fn fail(&self, bindings: &[BindingId], inbound: &Inbound, record: &mut Record) -> Settled {
        let mut settled = self.settle(bindings, inbound, bindings.iter().map(|_| (too_large(), None)));
        record.outputs = std::mem::take(&mut settled.outputs);
        if !self.has_room(record, &settled.local, inbound) {
            settled.local.clear();
        }
        settled
    }

    /// Whether the record goes into a segment, with what is to be republished written down in it.
    fn has_room(&self, record: &Record, local: &[Message], inbound: &Inbound) -> bool {
        if local.is_empty() {
            // QoS 0 alone is not asked about: it is in memory, and where it goes to the log nobody waits for it.
            return record.is_unawaited() || self.journal.fits_beside(record, 0);
        }
        let names = inbound.origin.client.len() + inbound.origin.principal.as_ref().map_or(0, |name| name.len());
        let further: usize = local.iter().map(|message| message.weight() + names + unfinished::MAX_FIELDS).sum();
        if self.journal.fits_beside(record, further) {
            return true;
        }
        let origin = inbound.next_hop();
        let written =
            |message: &Message| unfinished::put(&Inbound::internal(message.clone(), origin.clone()), u64::MAX);
        let (outputs, mut changes) = (record.outputs.clone(), record.changes.clone());
        changes.extend(local.iter().map(written));
        self.journal.fits_beside(&Record { outputs, ..Record::changes(changes, Receipt::none()) }, 0)
    }

    fn commit(
        self: &Arc<Self>,
        mut record: Record,
        pending_deliveries: Vec<PendingDelivery>,
        local: Vec<Message>,
        mut inbound: Inbound,
        (bindings, held, has_memory): (&[BindingId], Held, bool),
    ) {
        let further = match local {
            // As usual.
            none if none.is_empty() => Vec::new(),
            local => {
                let comes_again = pending_deliveries.is_empty() && !has_memory && leaves_nothing(&record, &inbound);
                self.tie_further(local, &mut inbound, &mut record, (comes_again, has_memory))
            }
        };
        let keeps_something = !record.is_unawaited();
        if keeps_something {
            // QoS 0 waits for nobody.
            record.bindings.extend_from_slice(bindings);
            // Where a client's messages stay in order over several bindings, a spool that is full holds these together.
            record.bindings.extend_from_slice(self.table.by_client(bindings));
        }
        record.hold = held.for_record(keeps_something);
        let cause = if further.is_empty() { None } else { share(&mut record.hold) };
        // Not shared with what it causes: that waits for lanes, and this is what a lane waits for.
        self.weigh(bindings, &mut record);
        record.receipt = inbound.receipt;
        self.journal.commit(record, pending_deliveries);
        // After their cause: what they delete is written by then.
        for inbound in further {
            self.publish_further(inbound, cause.clone());
        }
    }

    /// Much of it holds back the lanes that made it. What is not is bounded by places.
    fn weigh(&self, bindings: &[BindingId], record: &mut Record) {
        let bytes: usize = record.outputs.iter().map(|output| output.message.weight()).sum();
        if bytes > LIGHT {
            let lanes = bindings.iter().filter_map(|id| self.table.get(*id)?.lane.as_ref());
            record.hold.extend(lanes.map(|lane| Place::Weight(lane.hold(bytes))));
        }
    }

    /// What is to be republished, each with what has to be safe together with it.
    fn tie_further(
        &self,
        local: Vec<Message>,
        inbound: &mut Inbound,
        record: &mut Record,
        (comes_again, has_memory): (bool, bool),
    ) -> Vec<Inbound> {
        let mut further: Vec<Inbound> = local.into_iter().map(|message| self.further(message, inbound)).collect();
        match &mut further[..] {
            // Nothing else is left of it: what must be safe with it is safe with that, and when the gateway dies before, its device sends it
            // again. In the order of the others: none of it is there already, but what is retained and will be retained once more.
            [only] if comes_again => {
                let own = record.changes.len().saturating_sub(inbound.changes.len());
                only.changes = record.changes.split_off(own);
            }
            // What would not be made again in the same way, when the gateway dies before it is written.
            further if has_memory || !inbound.changes.is_empty() => {
                record.changes.extend(further.iter_mut().map(|inbound| self.write_down(inbound)));
            }
            _ => {}
        }
        further
    }

    fn tell(&self, inbound: &Inbound, settled: &Settled) {
        for Told { binding, counts, failure } in &settled.told {
            let Some(binding) = self.table.get(*binding) else { continue };
            counts.count(&binding.metrics);
            traced::tell(inbound, &binding.spec.name, counts, failure.as_deref());
            failure.iter().for_each(|failure| self.report(binding, inbound, failure));
        }
    }

    /// The dead letter for the archive, when it is one. In the same record as everything else: what becomes of the message is safe as a
    /// whole.
    pub(super) fn letter(&self, binding: &Binding, inbound: &Inbound, routed: &Routed) -> Option<Output> {
        let failure = routed.failure.as_ref()?;
        let line = self.journal.dead_letters().filter(|_| routed.is_dead)?;
        dead_letter(binding, inbound, failure).output(line, inbound.arrived).ok()
    }

    /// Says what failed.
    pub(super) fn report(&self, binding: &Binding, inbound: &Inbound, failure: &Failure) {
        let Some(suppressed) = self.warnings.permit() else { return };
        let (binding, topic, client) = (&binding.spec.name, &inbound.message.topic, &inbound.origin.client);
        if failure.kind == FailureKind::Looped {
            return tracing::error!(%binding, ?topic, client = ?brief(&client), suppressed, "{failure}");
        }
        tracing::warn!(%binding, ?topic, client = ?brief(&client), suppressed, "{failure}");
    }
}

/// What begins here weighs on the lane that begins it.
fn allowance((id, binding): (BindingId, &Binding), inbound: &Inbound) -> Arc<Caused> {
    let caused = inbound.allowance(id);
    if inbound.caused.is_none()
        && let Some(lane) = &binding.lane
    {
        caused.weigh_on(lane.hold_caused());
    }
    caused
}

/// Whether a message that came later, of another client, may be written already.
fn may_be_late(outcomes: &[Done], ticket: Option<Ticket>) -> bool {
    ticket.is_some() || outcomes.iter().any(|done| done.taken.is_overtaken)
}

/// Whether nothing of an input is in its record but what must be safe with the whole of it, and what may be there before: that it is retained.
fn leaves_nothing(record: &Record, inbound: &Inbound) -> bool {
    let own = record.changes.strip_suffix(&inbound.changes[..]);
    let is_retained = |change: &Change| matches!(change.key, Key::Retained { .. });
    record.outputs.is_empty() && own.is_some_and(|own| own.iter().all(is_retained))
}
