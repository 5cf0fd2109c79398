//! What a message meets here, told to an operator who follows it.

use std::sync::Arc;

use super::counts::Counts;
use super::dispatcher::Dispatcher;
use super::route::Inbound;
use crate::chain::{Failure, Lane};
use crate::config::BindingId;
use crate::message::{Message, Origin};
use crate::tap::{Payload, Step, Trace};

impl Dispatcher {
    /// Follows it from here on, when an operator wants to see such messages. What comes from one that is followed is, too. `met`: the bindings
    /// that have it now.
    pub(super) fn trace(&self, inbound: &mut Inbound, met: &[BindingId]) {
        let (message, origin) = (&inbound.message, &inbound.origin);
        // Also of a dead letter, which meets one binding alone: what another one takes out of it is in it.
        let redacts = |id: &BindingId| self.lane(*id).is_some_and(Lane::redacts);
        let hides = self.table.matching(&message.topic).iter().chain(met).any(redacts);
        let trace = match &origin.trace {
            Some(trace) => Some(trace.further(hides)),
            None => self.taps.begin(&message.topic, &origin.client, hides),
        };
        let Some(trace) = trace else { return };
        trace.tell(|| received(message, &origin.client, origin.hops, trace.hides()));
        trace.tell(|| Step::Bindings { bindings: self.names(met) });
        inbound.origin = Arc::new(Origin { trace: Some(trace), ..(**origin).clone() });
    }

    /// Follows an output that goes to its upstream again, past all bindings.
    pub(super) fn trace_output(&self, message: &Message, client: &str) -> Option<Trace> {
        let redacts = |id: &BindingId| self.lane(*id).is_some_and(Lane::redacts);
        let hides = (0..).map(BindingId).take_while(|id| self.table.get(*id).is_some()).any(|id| redacts(&id));
        let trace = self.taps.begin(&message.topic, client, hides)?;
        trace.tell(|| received(message, client, 0, trace.hides()));
        Some(trace)
    }

    fn names(&self, bindings: &[BindingId]) -> Vec<String> {
        bindings.iter().filter_map(|id| self.table.get(*id)).map(|binding| binding.spec.name.to_string()).collect()
    }
}

fn received(message: &Message, client: &str, hops: u8, hides: bool) -> Step {
    let payload = if hides { Payload::hidden(&message.payload) } else { Payload::of(&message.payload) };
    Step::Received {
        topic: Trace::name(message.topic.as_str()),
        client: Trace::name(client),
        qos: message.qos as u8,
        retain: message.retain,
        hops,
        payload,
    }
}

/// What became of it in one of its bindings.
pub(super) fn tell(inbound: &Inbound, binding: &str, counts: &Counts, failure: Option<&Failure>) {
    let Some(trace) = &inbound.origin.trace else { return };
    trace.tell(|| Step::Binding {
        binding: binding.to_owned(),
        became: became(counts).to_owned(),
        detail: failure.map(Failure::to_string),
    });
}

fn became(counts: &Counts) -> &'static str {
    match counts {
        Counts { forwarded: 1.., .. } => "forwarded",
        Counts { filtered: 1.., .. } => "filtered",
        Counts { dead_lettered: 1.., .. } => "dead-lettered",
        _ => "dropped",
    }
}
