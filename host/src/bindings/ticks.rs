//! The clock of the bindings: `tick = "10s"` calls the plugins that have one, in their lane, between messages.
//!
//! - The first tick comes one interval after the start, and a tick that was missed is not made up for: after a pause of the
//!   machine a plugin meets one, with the time it is then.
//! - One at a time for each binding, until its record is admitted by the spool, and what it publishes locally as well. A plugin that is slow, or a spool that is full, makes
//!   ticks fewer; they are counted.
//! - What it makes is routed like what a message makes, and is as durable: in one record, with the changes of state. No message
//!   waits for it with an ack, so that a tick which a crash swallows is simply not there, and neither are its changes.
//! - There is no message for a dead letter when a tick fails: it is logged and counted.

use std::sync::Arc;
use std::time::Duration;

use smallvec::smallvec;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::caused::Caused;
use super::dispatcher::{Dispatcher, Leaving, share};
use super::order::{Line, Ticket};
use super::route::{Inbound, Routed, limit_tick, route_tick};
use super::table::Binding;
use crate::chain::{Rank, Tick, TickResult};
use crate::config::BindingId;
use crate::message::{Origin, QoS};
use crate::spool::{Receipt, Record};

/// A tick that its chain has answered.
pub(super) struct FinishedTick {
    binding: BindingId,
    now_ms: u64,
    result: TickResult,
    place: OwnedSemaphorePermit,
}

/// Ticks for one binding until `stop`. `clock` gives milliseconds since the Unix epoch.
pub async fn run(
    dispatcher: Arc<Dispatcher>,
    binding: BindingId,
    every: Duration,
    clock: fn() -> u64,
    stop: CancellationToken,
) {
    let mut interval = interval_at(tokio::time::Instant::now() + every, every);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while stop.run_until_cancelled(interval.tick()).await.is_some() {
        dispatcher.tick(binding, clock());
    }
}

// === impl Dispatcher ===

impl Dispatcher {
    /// The bindings that tick, and how often.
    pub fn intervals(&self) -> Vec<(BindingId, Duration)> {
        self.table().iter().filter_map(|(id, binding)| Some((id, binding.spec.tick?))).collect()
    }

    /// Calls the clocks of one binding, unless they have not finished their last turn.
    pub fn tick(self: &Arc<Self>, id: BindingId, now_ms: u64) {
        let table = self.table();
        let Some(binding) = table.get(id).filter(|_| table.is_used(id)) else { return };
        let Some(lane) = &binding.lane else { return };
        let Ok(place) = binding.tick_place() else {
            binding.metrics.ticks_skipped.increment();
            return;
        };
        let dispatcher = self.clone();
        if !lane.is_stateful() {
            let done = move |result| dispatcher.finish_tick(FinishedTick { binding: id, now_ms, result, place });
            return lane.tick(Tick { now_ms, rank: Rank::Client, done: Box::new(done) });
        }
        self.order.enter(vec![Line::Binding(id)], |ticket| {
            let done = move |result: TickResult| {
                let ticket = result.taken.place.map_or(ticket, Ticket);
                let finished = FinishedTick { binding: id, now_ms, result, place };
                dispatcher.order.complete(ticket, Leaving::Tick(finished), |outcome| dispatcher.leave(outcome));
            };
            lane.tick(Tick { now_ms, rank: Rank::Placed(ticket.0), done: Box::new(done) });
        });
    }

    pub(super) fn finish_tick(self: &Arc<Self>, FinishedTick { binding, now_ms, result, place }: FinishedTick) {
        let id = binding;
        let table = self.table();
        let Some(binding) = table.get(id) else { return };
        binding.metrics.ticks.increment();
        self.report_ticks(binding, &result);
        let origin = Arc::new(Origin::gateway(now_ms));
        let (hold, bindings) = (smallvec![place.into()], smallvec![id]);
        let mut record = Record { hold, bindings, ..Record::changes(result.changes, Receipt::none()) };
        let (mut further, caused) = (Vec::new(), Arc::<Caused>::default());
        for message in result.messages {
            let mut inbound = Inbound { caused: Some(caused.clone()), ..Inbound::internal(message, origin.clone()) };
            let mut routed = self.route_tick(binding, &inbound, &caused);
            self.letter_limit.apply(binding, &inbound, &mut routed);
            routed.counts.count(&binding.metrics);
            record.outputs.extend(self.letter(binding, &inbound, &routed));
            let Routed { outputs, local, .. } = routed;
            record.outputs.extend(outputs);
            further.extend(local.into_iter().map(|message| self.further(message, &mut inbound)));
        }
        // Nobody would make these again.
        let kept = further.iter_mut().filter(|inbound| inbound.message.qos > QoS::AtMostOnce);
        record.changes.extend(kept.map(|inbound| self.write_down(inbound)));
        let cause = if further.is_empty() { None } else { share(&mut record.hold) };
        self.journal.commit(record, Vec::new());
        further.into_iter().for_each(|inbound| self.publish_further(inbound, cause.clone()));
    }

    /// Counted as one input, with all that it makes; and said when it fails.
    fn route_tick(&self, binding: &Binding, inbound: &Inbound, caused: &Caused) -> Routed {
        let mut routed = route_tick(&self.gateway, &binding.spec, inbound);
        let is_limited = !caused.take(&routed.local);
        if is_limited {
            routed = limit_tick(&self.gateway, &binding.spec, inbound);
            if !caused.take(&routed.local) {
                routed.local.clear();
            }
        }
        if !is_limited || caused.is_to_tell() {
            routed.failure.iter().for_each(|failure| self.report(binding, inbound, failure));
        }
        routed
    }

    fn report_ticks(&self, binding: &Binding, result: &TickResult) {
        for failure in &result.failures {
            binding.metrics.ticks_failed.increment();
            if let Some(suppressed) = self.warnings.permit() {
                tracing::warn!(binding = %binding.spec.name, suppressed, "a tick failed: {failure}");
            }
        }
    }
}
