//! The clock of the bindings: `tick = "10s"` calls the plugins that have one, in their lane, between messages.
//!
//! - The first tick comes one interval after the start, and a tick that was missed is not made up for: after a pause of the
//!   machine a plugin meets one, with the time it is then.
//! - One at a time for each binding, until its record is admitted by the spool. A plugin that is slow, or a spool that is full, makes
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

use super::dispatcher::{Dispatcher, Inbound, Leaving};
use super::settle::{Settled, settle_tick};
use super::table::Binding;
use crate::chain::{Tick, Ticked};
use crate::control::clock;
use crate::message::{Origin, QoS};
use crate::spool::{Receipt, Record};

/// A tick that its chain has answered.
pub(super) struct Rung {
    binding: usize,
    now_ms: u64,
    ticked: Ticked,
    place: OwnedSemaphorePermit,
}

/// Ticks for one binding until `stop`. `clock` gives milliseconds since the Unix epoch.
pub async fn run(
    dispatcher: Arc<Dispatcher>,
    (binding, every): (usize, Duration),
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
    pub fn intervals(&self) -> Vec<(usize, Duration)> {
        self.table.iter().enumerate().filter_map(|(index, binding)| Some((index, binding.spec.tick?))).collect()
    }

    /// Calls the clocks of one binding, unless they have not finished their last turn.
    pub fn tick(self: &Arc<Self>, index: usize, now_ms: u64) {
        let Some(binding) = self.table.get(index) else { return };
        let Some(lane) = &binding.lane else { return };
        let Ok(place) = binding.tick_place() else {
            self.counters.ticks_skipped.increment();
            return;
        };
        let dispatcher = self.clone();
        if !lane.is_stateful() {
            let done = move |ticked| dispatcher.rung(Rung { binding: index, now_ms, ticked, place });
            return lane.tick(Tick { now_ms, done: Box::new(done) });
        }
        self.order.enter(vec![index], |ticket| {
            let done = move |ticked| {
                let rung = Rung { binding: index, now_ms, ticked, place };
                dispatcher.order.complete(ticket, Leaving::Tick(rung), |outcome| dispatcher.leave(outcome));
            };
            lane.tick(Tick { now_ms, done: Box::new(done) });
        });
    }

    pub(super) fn rung(self: &Arc<Self>, Rung { binding, now_ms, ticked, place }: Rung) {
        let Some(binding) = self.table.get(binding) else { return };
        self.counters.ticks.increment();
        self.report_ticks(binding, &ticked);
        let origin = Arc::new(Origin::gateway(now_ms));
        let (receipt, hold) = (Receipt::none(), smallvec![place]);
        let mut record = Record { outputs: Vec::new(), changes: ticked.changes, receipt, hold };
        let mut further = Vec::new();
        for message in ticked.messages {
            let (origin, arrived) = (origin.clone(), clock::now());
            let mut inbound =
                Inbound { message, origin, arrived, receipt: Receipt::none(), changes: Vec::new(), attempts: 0 };
            let Settled { outputs, local, unroutable } =
                settle_tick(&self.gateway, &binding.spec, &inbound, &self.counters);
            self.complain(binding, &inbound, unroutable);
            record.outputs.extend(outputs);
            further.extend(local.into_iter().filter_map(|message| self.further(message, &mut inbound)));
        }
        // Nobody would make these again.
        let kept = further.iter_mut().filter(|inbound| inbound.message.qos > QoS::AtMostOnce);
        record.changes.extend(kept.map(|inbound| self.write_down(inbound)));
        self.journal.commit(record, Vec::new());
        further.into_iter().for_each(|inbound| self.publish_internal(inbound));
    }

    fn report_ticks(&self, binding: &Binding, ticked: &Ticked) {
        for failure in &ticked.failures {
            self.counters.ticks_failed.increment();
            if let Some(suppressed) = self.warnings.permit() {
                tracing::warn!(binding = %binding.spec.name, suppressed, "a tick failed: {failure}");
            }
        }
    }
}
