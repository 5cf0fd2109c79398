//! What an outcome means: destinations for what came out, the binding's `on_error` for what failed, one hop further for what is
//! local. Pure: the dispatcher, the clock and `tidegate test` share it, and who takes what it says counts it ([`Counts`]).

use std::sync::Arc;
use std::time::Instant;

use super::MAX_HOPS;
use super::caused::{Caused, MAX_BYTES, MAX_MESSAGES};
use super::counts::Counts;
use crate::base::clock;
use crate::base::fault::{self, Fault};
use crate::chain::{Failure, Outcome};
use crate::config::{Binding, Destination, OnFailure, Target};
use crate::message::hops::{HOPS, MOST_GATEWAYS};
use crate::message::{Message, Origin, Properties};
use crate::plugin::FailureKind;
use crate::spool::{Change, Output, Receipt};
use crate::topic::{RenderError, Template, TemplateValues, TopicName};

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
    /// What the input that it comes from has caused so far; none before it has caused anything.
    pub caused: Option<Arc<Caused>>,
}

#[derive(Debug, Default)]
pub struct Routed {
    pub outputs: Vec<Output>,
    /// For the local bus, one hop further.
    pub local: Vec<Message>,
    /// What there is to say about an input that failed, whatever became of it.
    pub failure: Option<Box<Failure>>,
    /// The input is a dead letter, and the archive is to have it.
    pub is_dead: bool,
    /// For whoever does what is said here.
    pub counts: Counts,
}

/// What every step needs.
struct Router<'a> {
    gateway: &'a str,
    binding: &'a Binding,
    inbound: &'a Inbound,
    /// Filled in place: it is large, and each move of it is paid for with each message.
    made: Routed,
}

/// An output that has no place to go to is a failure of its binding like one of a plugin, and of all of the input: none of its
/// outputs goes, so that the dead letter can be sent again without making any of them twice.
pub fn route(gateway: &str, binding: &Binding, inbound: &Inbound, outcome: Outcome) -> Routed {
    let mut router = Router { gateway, binding, inbound, made: Routed::default() };
    match outcome {
        Outcome::Outputs(messages) => {
            router.made.counts.outputs += messages.len() as u32;
            match router.route(messages) {
                Ok(()) => router.made.counts.forwarded += 1,
                Err(failure) => router.fail(failure),
            }
        }
        Outcome::Filtered => router.made.counts.filtered += 1,
        Outcome::Failed(failure) => router.fail(*failure),
    }
    router.made
}

/// What a plugin made by its clock. It stands for its own input: a fault of the tick itself has no message to be sent anywhere.
pub fn route_tick(gateway: &str, binding: &Binding, made: &Inbound) -> Routed {
    tick(gateway, binding, made, |router| router.route(vec![made.message.clone()]))
}

/// The same, when its tick has caused too much.
pub(super) fn limit_tick(gateway: &str, binding: &Binding, made: &Inbound) -> Routed {
    tick(gateway, binding, made, |_| Err(too_many()))
}

fn tick(
    gateway: &str,
    binding: &Binding,
    inbound: &Inbound,
    route: impl FnOnce(&mut Router) -> Result<(), Failure>,
) -> Routed {
    let counts = Counts { tick_outputs: 1, outputs: 1, ..Counts::default() };
    let mut router = Router { gateway, binding, inbound, made: Routed { counts, ..Routed::default() } };
    if let Err(failure) = route(&mut router) {
        // Counted as an input from here on: it may become a dead letter.
        router.made.counts.inputs += 1;
        router.fail(failure);
    }
    router.made
}

/// What a chain has made, unless it is more than one record has room for, with what other bindings may make: then the input has
/// failed. The input's own payload does not count, wherever it goes: it is in the record once.
pub(super) fn bounded(outcome: Outcome, input: &Message, bindings: usize, most: usize) -> Outcome {
    let Outcome::Outputs(messages) = &outcome else { return outcome };
    let own = |message: &&Message| message.payload.as_ptr() != input.payload.as_ptr();
    let bytes: usize = messages.iter().filter(own).map(|message| message.payload.len()).sum();
    if bytes.saturating_mul(bindings) <= most {
        return outcome;
    }
    let most = most / bindings.max(1);
    let detail = format!("{} messages of {bytes} bytes, and a record has room for {most}", messages.len());
    Outcome::Failed(failure(FailureKind::TooLarge, detail).into())
}

/// All that became of an input is more than one record has room for.
pub(super) fn too_large() -> Outcome {
    let detail = "what became of it is larger than a segment of the spool".to_owned();
    Outcome::Failed(failure(FailureKind::TooLarge, detail).into())
}

/// Its input has caused all that one may.
pub(super) fn too_many() -> Failure {
    let detail = format!(
        "one input causes at most {MAX_MESSAGES} messages and {MAX_BYTES} bytes for local topics, over all stages: put out less, or fan out \
         in the last stage alone"
    );
    failure(FailureKind::TooMany, detail)
}

// === impl Inbound ===

impl Inbound {
    /// What nobody waits for with an ack: a message of the gateway's own.
    pub fn internal(message: Message, origin: Arc<Origin>) -> Self {
        let (arrived, receipt) = (clock::now(), Receipt::none());
        Self { message, origin, arrived, receipt, changes: Vec::new(), attempts: 0, caused: None }
    }

    /// What this becomes locally, with a share of the ack: the device is told when all of it is safe. The last hop has no further one:
    /// what would need one has failed.
    pub fn further(&mut self, message: Message) -> Self {
        let receipt = self.receipt.split();
        Self { arrived: self.arrived, receipt, caused: self.caused.clone(), ..Self::internal(message, self.next_hop()) }
    }

    pub(super) fn next_hop(&self) -> Arc<Origin> {
        let hops = self.origin.hops.saturating_add(1);
        Arc::new(Origin { hops, source: None, ..(*self.origin).clone() })
    }

    /// Whether somebody waits for its outcome, or it is written down.
    pub(super) fn is_promised(&self) -> bool {
        !self.receipt.is_none() || !self.changes.is_empty()
    }

    /// Whether a part of what it comes from may be safe already: it is written down, or was republished. Then its device cannot be told
    /// any more that nothing was taken over.
    pub(super) fn is_begun(&self) -> bool {
        self.origin.hops > 0 || self.changes.iter().any(Change::is_end_of_unfinished)
    }
}

// === impl Routed ===

impl Routed {
    /// Makes one that has failed and was dropped of a letter that is one too many. All that is left of it is the letter, and its live view.
    pub(super) fn limit_letter(&mut self) {
        self.local.clear();
        self.is_dead = false;
        self.counts.dead_lettered -= 1;
        self.counts.failed_dropped += 1;
        self.counts.dead_letters_limited += 1;
    }

    /// With a plugin left out that failed: there is something to say, and that is all.
    pub fn without(mut self, skipped: Option<Box<Failure>>) -> Self {
        if let (None, Some(skipped)) = (&self.failure, skipped) {
            self.counts.failed += 1;
            self.counts.failed_passed += 1;
            self.failure = Some(skipped);
        }
        self
    }
}

// === impl Router ===

impl Router<'_> {
    fn route(&mut self, messages: Vec<Message>) -> Result<(), Failure> {
        let binding = self.binding;
        let Some((last, others)) = binding.to.split_last() else { return Ok(()) };
        for message in messages {
            for destination in others {
                self.route_one(message.clone(), destination)?;
            }
            self.route_one(message, last)?;
        }
        let Routed { outputs, local, counts, .. } = &mut self.made;
        counts.fan_out += (outputs.len() + local.len()).saturating_sub(1) as u32;
        counts.local_outputs += local.len() as u32;
        Ok(())
    }

    fn route_one(&mut self, message: Message, destination: &Destination) -> Result<(), Failure> {
        let topic = self.render(&destination.topic, &message.topic).map_err(|error| {
            self.made.counts.unroutable += 1;
            failure(FailureKind::NoTopic, error.to_string())
        })?;
        let mut message = Message {
            topic,
            qos: destination.qos.unwrap_or(message.qos),
            retain: destination.retain.unwrap_or(message.retain),
            ..message
        };
        // A plugin may have made it, and knows nothing of where its input came from.
        let gateways = self.inbound.message.gateways();
        if gateways > 0 {
            message.set_gateways(gateways);
        }
        match destination.target {
            Target::Upstream(upstream) => {
                self.check_ring(gateways)?;
                let (binding, arrived) = (Some(self.binding.name), self.inbound.arrived);
                self.made.outputs.push(Output { upstream, binding, message, arrived });
            }
            Target::Local => {
                let message = self.own_topic(message).and_then(|message| self.further(message))?;
                self.made.local.push(message);
            }
        }
        Ok(())
    }

    /// What a device may not publish, nobody publishes for it: neither a plugin nor the name of a client.
    fn own_topic(&mut self, message: Message) -> Result<Message, Failure> {
        if !message.topic.is_gateways_own() {
            return Ok(message);
        }
        self.made.counts.unroutable += 1;
        let detail = "only the gateway itself publishes below `$SYS/` and `$tidegate/`".to_owned();
        Err(failure(FailureKind::NoTopic, detail))
    }

    fn further(&mut self, message: Message) -> Result<Message, Failure> {
        if self.may_go_further() {
            return Ok(message);
        }
        self.made.counts.hop_limit_exceeded += 1;
        let detail = format!("{MAX_HOPS} hops, and `{}` would be one more", message.topic);
        Err(failure(FailureKind::Looped, detail))
    }

    fn check_ring(&mut self, gateways: u32) -> Result<(), Failure> {
        if gateways < MOST_GATEWAYS {
            return Ok(());
        }
        self.made.counts.hop_limit_exceeded += 1;
        let detail = format!(
            "it has crossed {gateways} gateways (user property `{HOPS}`), and may cross no more: do the upstreams of gateways lead in a ring, or \
             an upstream to its own gateway?"
        );
        Err(failure(FailureKind::Looped, detail))
    }

    fn may_go_further(&self) -> bool {
        self.inbound.origin.hops < MAX_HOPS
    }

    /// Nothing of what it made goes.
    fn fail(&mut self, failure: Failure) {
        self.made.outputs.clear();
        self.made.local.clear();
        self.made.counts.failed += 1;
        match failure.then.unwrap_or(self.binding.on_error.of_plugins()) {
            OnFailure::Drop => self.made.counts.failed_dropped += 1,
            // Where it could go on it has: the chain leaves a plugin out. The input itself never goes on in place of what was made of it.
            OnFailure::DeadLetter | OnFailure::Pass => self.bury(&failure),
        }
        self.made.failure = Some(failure.into());
    }

    /// Into the archive, whatever its topic; and to those who listen for dead letters, where a topic can be made of it.
    fn bury(&mut self, failure: &Failure) {
        self.made.counts.dead_lettered += 1;
        let topic = self.binding.on_error.topic().filter(|_| self.may_go_further());
        let topic = topic.and_then(|topic| self.render(topic, &self.inbound.message.topic).ok());
        if topic.is_none() && fault::is_on(Fault::LetterNeedsTopic) {
            return;
        }
        let letter = topic.map(|topic| self.dead_letter(topic, failure));
        self.made.local.extend(letter);
        self.made.is_dead = true;
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

    fn render(&self, template: &Template, topic: &TopicName) -> Result<TopicName, RenderError> {
        if template.is_identity() {
            return Ok(topic.clone());
        }
        let client = &self.inbound.origin.client;
        let values =
            TemplateValues { topic: topic.as_str(), gateway: self.gateway, binding: &self.binding.name, client };
        template.render(&values)
    }
}

/// No plugin's.
fn failure(kind: FailureKind, detail: String) -> Failure {
    Failure { plugin: String::new(), kind, detail, attempts: 1, then: None }
}

#[cfg(test)]
mod tests;
