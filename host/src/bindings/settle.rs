//! What an outcome means: destinations for what came out, the binding's `on_error` for what failed.

use std::sync::Arc;

use super::dispatcher::Inbound;
use crate::chain::{Failure, Outcome};
use crate::control::config::{Binding, Destination, OnError, Target};
use crate::control::counters::Counters;
use crate::message::{Message, Properties};
use crate::spool::Output;
use crate::topic::{NameError, Template, TemplateValues, TopicName};

/// A message for the local bus, one hop further.
#[derive(Debug, PartialEq, Eq)]
pub struct Republish(pub Message);

#[derive(Debug, Default)]
pub struct Settled {
    pub outputs: Vec<Output>,
    pub local: Vec<Republish>,
    /// Why an output has no topic to go to, when one has none: it is dropped and counted.
    pub unroutable: Option<NameError>,
}

/// Pure but for the counters.
pub fn settle(gateway: &str, binding: &Binding, inbound: &Inbound, outcome: Outcome, counters: &Counters) -> Settled {
    let room = Room { gateway, binding, inbound, counters };
    match outcome {
        Outcome::Outputs(messages) => {
            counters.chained.increment();
            counters.chain_out.add(messages.len() as u64);
            room.route(messages)
        }
        Outcome::Filtered => {
            counters.filtered.increment();
            Settled::default()
        }
        Outcome::Failed(failure) => {
            counters.failed.increment();
            room.fail(&failure)
        }
    }
}

/// What a plugin made by its clock. It stands for its own input: a fault of the tick itself has no message to be sent anywhere.
pub fn settle_tick(gateway: &str, binding: &Binding, made: &Inbound, counters: &Counters) -> Settled {
    counters.ticked.increment();
    counters.chain_out.increment();
    Room { gateway, binding, inbound: made, counters }.route(vec![made.message.clone()])
}

/// What every step needs.
struct Room<'a> {
    gateway: &'a str,
    binding: &'a Binding,
    inbound: &'a Inbound,
    counters: &'a Counters,
}

impl Room<'_> {
    fn route(&self, messages: Vec<Message>) -> Settled {
        let mut settled = Settled::default();
        let routes = messages.len() * self.binding.to.len();
        self.counters.copies.add(routes.saturating_sub(1) as u64);
        let Some((last, others)) = self.binding.to.split_last() else { return settled };
        for message in messages {
            for destination in others {
                self.route_one(message.clone(), destination, &mut settled);
            }
            self.route_one(message, last, &mut settled);
        }
        settled
    }

    fn route_one(&self, message: Message, destination: &Destination, settled: &mut Settled) {
        let topic = match self.render(&destination.topic, &message.topic) {
            Ok(topic) => topic,
            Err(error) => return settled.unroutable = Some(error),
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
                settled.outputs.push(Output { upstream, binding, message, arrived });
            }
            Target::Local => {
                self.counters.to_local.increment();
                settled.local.push(Republish(message));
            }
        }
    }

    fn fail(&self, failure: &Failure) -> Settled {
        match &self.binding.on_error {
            OnError::Drop => {
                self.counters.failed_dropped.increment();
                Settled::default()
            }
            OnError::Pass => {
                self.counters.failed_passed.increment();
                self.route(vec![self.inbound.message.clone()])
            }
            OnError::DeadLetter { topic } => {
                let mut settled = Settled::default();
                match self.render(topic, &self.inbound.message.topic) {
                    Ok(topic) => {
                        self.counters.dead_lettered.increment();
                        settled.local.push(Republish(self.dead_letter(topic, failure)));
                    }
                    Err(error) => settled.unroutable = Some(error),
                }
                settled
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
