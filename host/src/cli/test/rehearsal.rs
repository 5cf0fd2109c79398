//! A message on its way through the bindings, without sockets and threads: the chains and the settling are the gateway's own.
//!
//! What a binding republishes locally meets the bindings again, one hop further, as it would in the gateway. Plugins keep
//! their state from one message to the next, and the order is that of the input.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::bindings::{Inbound, MAX_HOPS, Republish, Settled, settle};
use crate::chain::{Chain, Envelope, Outcome};
use crate::control::clock::unix_ms;
use crate::control::config::{Binding, Config};
use crate::control::counters::Counters;
use crate::message::{Message, Origin};
use crate::setup::{self, Refusals};
use crate::spool::Receipt;

pub struct Rehearsal<'a> {
    config: &'a Config,
    /// One for each binding; none where it has no plugins.
    chains: Vec<Option<Chain>>,
    client: Arc<str>,
    /// Of no interest here: every step is told.
    counters: Counters,
}

/// What one binding made of one message, or that there was none.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub binding: Option<String>,
    pub verdict: Verdict,
    pub sent: Vec<Sent>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Forwarded,
    Filtered,
    /// With the plugin and its reason; what `on_error` made of it is in `sent`.
    Failed(String),
    /// No binding matches: the message stays local.
    Unbound,
    /// Republished too often.
    Looped,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    /// `upstream cloud` or `local`.
    pub to: String,
    pub message: Message,
}

// === impl Rehearsal ===

impl<'a> Rehearsal<'a> {
    /// Nothing is written: components are compiled for this once.
    pub fn new(config: &'a Config, client: &str) -> Result<Self, Refusals> {
        let mut chains = setup::prepare(config, None)?.chains.into_iter();
        let chain = |binding: &Binding| if binding.plugins.is_empty() { None } else { chains.next() };
        let chains = config.bindings.iter().map(chain).collect();
        Ok(Self { config, chains, client: client.into(), counters: Counters::default() })
    }

    pub fn put(&mut self, message: Message) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut waiting = VecDeque::from([(message, 0)]);
        while let Some((message, hops)) = waiting.pop_front() {
            if hops > MAX_HOPS {
                steps.push(Step { binding: None, verdict: Verdict::Looped, sent: Vec::new() });
                continue;
            }
            let inbound = self.inbound(message, hops);
            let bindings: Vec<_> = self.matching(&inbound.message).collect();
            if bindings.is_empty() && hops == 0 {
                steps.push(Step { binding: None, verdict: Verdict::Unbound, sent: Vec::new() });
            }
            for (index, binding) in bindings {
                let step = self.step(index, binding, &inbound);
                let local = step.sent.iter().filter(|sent| sent.to == LOCAL);
                waiting.extend(local.map(|sent| (sent.message.clone(), hops + 1)));
                steps.push(step);
            }
        }
        steps
    }

    fn step(&mut self, index: usize, binding: &Binding, inbound: &Inbound) -> Step {
        let outcome = self.run(index, inbound);
        let verdict = match &outcome {
            Outcome::Outputs(_) => Verdict::Forwarded,
            Outcome::Filtered => Verdict::Filtered,
            Outcome::Failed(failure) => Verdict::Failed(failure.to_string()),
        };
        let settled = settle(&self.config.gateway.id, binding, inbound, outcome, &self.counters);
        Step { binding: Some(binding.name.clone()), verdict, sent: self.sent(settled) }
    }

    fn run(&mut self, index: usize, inbound: &Inbound) -> Outcome {
        let (message, origin) = (inbound.message.clone(), inbound.origin.clone());
        match self.chains.get_mut(index).and_then(Option::as_mut) {
            Some(chain) => chain.run(vec![Envelope { message, origin }]).pop().unwrap_or(Outcome::Filtered),
            None => Outcome::Outputs(vec![message]),
        }
    }

    fn sent(&self, Settled { outputs, local, unroutable }: Settled) -> Vec<Sent> {
        if let Some(error) = unroutable {
            tracing::warn!("an output is dropped, no topic for it: {error}");
        }
        let upstream = |index: usize| self.config.upstreams.get(index).map_or("", |upstream| &upstream.name);
        let outputs = outputs
            .into_iter()
            .map(|output| Sent { to: format!("upstream {}", upstream(output.upstream)), message: output.message });
        let local = local.into_iter().map(|Republish(message)| Sent { to: LOCAL.to_owned(), message });
        outputs.chain(local).collect()
    }

    /// In file order.
    fn matching(&self, message: &Message) -> impl Iterator<Item = (usize, &'a Binding)> {
        let config: &'a Config = self.config;
        let matches = |binding: &Binding| binding.filters.iter().any(|filter| filter.matches(&message.topic));
        config.bindings.iter().enumerate().filter(move |(_, binding)| matches(binding))
    }

    fn inbound(&self, message: Message, hops: u8) -> Inbound {
        let origin = Arc::new(Origin { client: self.client.clone(), arrived_ms: unix_ms(), hops });
        Inbound { message, origin, arrived: Instant::now(), receipt: Receipt::none(), changes: Vec::new(), attempts: 0 }
    }
}

const LOCAL: &str = "local";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::line;
    use super::*;
    use crate::control::config::parse;

    const CONFIG: &str = r#"
        gateway = { id = "gw1" }
        upstreams.cloud = { url = "mqtt://broker" }
        [[bindings]]
        name = "clean"
        topic = "raw/#"
        to = [{ upstream = "cloud", topic = "{gateway}/{topic}", qos = 0 }, { local = true, topic = "clean/{client}" }]
        [[bindings]]
        name = "all"
        topic = "clean/+"
        to = [{ upstream = "cloud" }]
    "#;

    /// `binding verdict: to line, ...` of each step.
    fn told(text: &str) -> Vec<String> {
        let config = parse(CONFIG, "f", Path::new("")).unwrap();
        let mut rehearsal = Rehearsal::new(&config, "dev").unwrap();
        let sent = |sent: &Sent| format!("{} {}", sent.to, line::Line(&sent.message));
        let tell = |step: Step| {
            let list: Vec<_> = step.sent.iter().map(sent).collect();
            format!("{:?} {:?}: {}", step.binding.unwrap_or_default(), step.verdict, list.join(", "))
        };
        rehearsal.put(line::read(text.as_bytes()).unwrap().unwrap()).into_iter().map(tell).collect()
    }

    #[test]
    fn a_message_goes_to_each_destination_and_what_is_republished_meets_the_bindings_again() {
        assert_eq!(
            told("qos=1 [raw/a] x"),
            [
                r#""clean" Forwarded: upstream cloud [gw1/raw/a] x, local qos=1 [clean/dev] x"#,
                r#""all" Forwarded: upstream cloud qos=1 [clean/dev] x"#,
            ]
        );
    }

    #[test]
    fn a_message_without_a_binding_is_told_as_such() {
        assert_eq!(told("[other] x"), [r#""" Unbound: "#]);
    }
}
