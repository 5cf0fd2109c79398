//! What an outcome means: destinations for what came out, the binding's `on_error` for what failed, one hop further for what is
//! local. Pure, but that it counts: the dispatcher, the clock and `tidegate test` share it.

use std::sync::Arc;
use std::time::Instant;

use super::MAX_HOPS;
use crate::base::clock;
use crate::chain::{Failure, Outcome};
use crate::config::{Binding, Destination, OnError, Target};
use crate::message::{Message, Origin, Properties};
use crate::metrics::Counters;
use crate::spool::{Change, Output, Receipt};
use crate::topic::{NameError, Template, TemplateValues, TopicName};

/// A message that a device or the gateway published, and the ack that waits for it.
#[derive(Debug)]
pub struct Inbound {
    pub message: Message,
    pub origin: Arc<Origin>,
    pub arrived: Instant,
    pub receipt: Receipt,
    /// What must be safe together with its outcome: the QoS 2 identity of the message, the end of a will.
    pub changes: Vec<Change>,
    /// How often plugins have failed on it before: it was a dead letter.
    pub attempts: u32,
}

#[derive(Debug, Default)]
pub struct Routed {
    pub outputs: Vec<Output>,
    /// For the local bus, one hop further.
    pub local: Vec<Message>,
    /// Why an output has no topic to go to, when one has none: it is dropped and counted.
    pub unroutable: Option<NameError>,
}

/// What every step needs.
struct Router<'a> {
    gateway: &'a str,
    binding: &'a Binding,
    inbound: &'a Inbound,
    counters: &'a Counters,
}

pub fn route(gateway: &str, binding: &Binding, inbound: &Inbound, outcome: Outcome, counters: &Counters) -> Routed {
    let router = Router { gateway, binding, inbound, counters };
    match outcome {
        Outcome::Outputs(messages) => {
            counters.chain_forwarded.increment();
            counters.chain_outputs.add(messages.len() as u64);
            router.route(messages)
        }
        Outcome::Filtered => {
            counters.filtered.increment();
            Routed::default()
        }
        Outcome::Failed(failure) => {
            counters.failed.increment();
            router.fail(&failure)
        }
    }
}

/// What a plugin made by its clock. It stands for its own input: a fault of the tick itself has no message to be sent anywhere.
pub fn route_tick(gateway: &str, binding: &Binding, made: &Inbound, counters: &Counters) -> Routed {
    counters.tick_outputs.increment();
    counters.chain_outputs.increment();
    Router { gateway, binding, inbound: made, counters }.route(vec![made.message.clone()])
}

// === impl Inbound ===

impl Inbound {
    /// What nobody waits for with an ack: a message of the gateway's own.
    pub fn internal(message: Message, origin: Arc<Origin>) -> Self {
        let (arrived, receipt) = (clock::now(), Receipt::none());
        Self { message, origin, arrived, receipt, changes: Vec::new(), attempts: 0 }
    }

    /// What this becomes locally, with a share of the ack: the device is told when all of it is safe. `None` after too many hops.
    pub fn further(&mut self, message: Message) -> Option<Self> {
        let hops = self.origin.hops.saturating_add(1);
        if hops > MAX_HOPS {
            return None;
        }
        let origin = Arc::new(Origin { hops, ..(*self.origin).clone() });
        let receipt = self.receipt.split();
        Some(Self { arrived: self.arrived, receipt, ..Self::internal(message, origin) })
    }
}

// === impl Router ===

impl Router<'_> {
    fn route(&self, messages: Vec<Message>) -> Routed {
        let mut routed = Routed::default();
        let routes = messages.len() * self.binding.to.len();
        self.counters.fan_out.add(routes.saturating_sub(1) as u64);
        let Some((last, others)) = self.binding.to.split_last() else { return routed };
        for message in messages {
            for destination in others {
                self.route_one(message.clone(), destination, &mut routed);
            }
            self.route_one(message, last, &mut routed);
        }
        routed
    }

    fn route_one(&self, message: Message, destination: &Destination, routed: &mut Routed) {
        let topic = match self.render(&destination.topic, &message.topic) {
            Ok(topic) => topic,
            Err(error) => return routed.unroutable = Some(error),
        };
        let message = Message {
            topic,
            qos: destination.qos.unwrap_or(message.qos),
            retain: destination.retain.unwrap_or(message.retain),
            ..message
        };
        match destination.target {
            Target::Upstream(upstream) => {
                let (binding, arrived) = (Some(self.binding.name.clone()), self.inbound.arrived);
                routed.outputs.push(Output { upstream, binding, message, arrived });
            }
            Target::Local => {
                self.counters.local_outputs.increment();
                routed.local.push(message);
            }
        }
    }

    fn fail(&self, failure: &Failure) -> Routed {
        match &self.binding.on_error {
            OnError::Drop => {
                self.counters.failed_dropped.increment();
                Routed::default()
            }
            OnError::Pass => {
                self.counters.failed_passed.increment();
                self.route(vec![self.inbound.message.clone()])
            }
            OnError::DeadLetter { topic } => {
                let mut routed = Routed::default();
                match self.render(topic, &self.inbound.message.topic) {
                    Ok(topic) => {
                        self.counters.dead_lettered.increment();
                        routed.local.push(self.dead_letter(topic, failure));
                    }
                    Err(error) => routed.unroutable = Some(error),
                }
                routed
            }
        }
    }

    /// The original, with the reason beside it. Not retained: a dead letter is an event, not the state of a topic.
    fn dead_letter(&self, topic: TopicName, failure: &Failure) -> Message {
        let original = &self.inbound.message;
        let mut properties = original.properties.as_deref().cloned().unwrap_or_default();
        let mut note = |name: &str, value: String| properties.user.push((name.to_owned(), value));
        note("tidegate-topic", original.topic.to_string());
        note("tidegate-client", self.inbound.origin.client.to_string());
        note("tidegate-binding", self.binding.name.to_string());
        note("tidegate-plugin", failure.plugin.clone());
        note("tidegate-reason", failure.kind.to_string());
        note("tidegate-detail", failure.detail.clone());
        note("tidegate-arrived-ms", self.inbound.origin.arrived_ms.to_string());
        // An expiry interval is for those who wait for the reading; the one who looks for faults comes later.
        let properties = Some(Arc::new(Properties { expiry: None, ..properties }));
        Message { topic, retain: false, properties, ..original.clone() }
    }

    fn render(&self, template: &Template, topic: &TopicName) -> Result<TopicName, NameError> {
        if template.is_identity() {
            return Ok(topic.clone());
        }
        let client = &self.inbound.origin.client;
        let values =
            TemplateValues { topic: topic.as_str(), gateway: self.gateway, binding: &self.binding.name, client };
        template.render(&values).inspect_err(|_| self.counters.unroutable.increment())
    }
}

#[cfg(test)]
mod tests;
