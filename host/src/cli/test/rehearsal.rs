//! A message on its way through the bindings, without sockets and threads: the chains and the settling are the gateway's own.
//!
//! What a binding republishes locally meets the bindings again, one hop further, as it would in the gateway. Plugins keep
//! their state from one message to the next, and the order is that of the input. Time stands still but for [`Rehearsal::wait`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bindings::{Inbound, MAX_HOPS, Republish, Settled, settle, settle_tick};
use crate::chain::{Chain, Envelope, Outcome};
use crate::control::clock::unix_ms;
use crate::control::config::{Binding, Config, FaultPolicy};
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
    started_ms: u64,
    passed: Duration,
    /// How often each binding has ticked.
    ticked: Vec<u32>,
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
    /// Made by the clock.
    Ticked,
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
        // A file of bad lines is a test of the plugin and not its retirement.
        let mut patient = config.clone();
        patient.bindings.iter_mut().for_each(|binding| binding.faults = FaultPolicy::NONE);
        let mut chains = setup::prepare(&patient, None)?.chains.into_iter();
        let chain = |binding: &Binding| if binding.plugins.is_empty() { None } else { chains.next() };
        let chains = config.bindings.iter().map(chain).collect();
        let ticked = vec![0; config.bindings.len()];
        Ok(Self {
            ticked,
            config,
            chains,
            client: client.into(),
            counters: Counters::default(),
            started_ms: unix_ms(),
            passed: Duration::ZERO,
        })
    }

    pub fn put(&mut self, message: Message) -> Vec<Step> {
        self.follow(VecDeque::from([(message, 0)]))
    }

    /// Lets time pass: bindings tick as often as they would, in the order of time.
    pub fn wait(&mut self, time: Duration) -> Vec<Step> {
        let end = self.passed + time;
        let mut steps = Vec::new();
        while let Some((due, index)) = self.next_tick(end) {
            self.passed = due;
            steps.extend(self.tick(index));
        }
        self.passed = end;
        steps
    }

    /// Until `end`: when, and which binding. Its number tells those apart that are due at once.
    fn next_tick(&self, end: Duration) -> Option<(Duration, usize)> {
        let due = |(index, binding): (usize, &Binding)| {
            let every = binding.tick?.as_nanos();
            let ticked = self.ticked.get(index).copied().unwrap_or_default();
            let due = Duration::from_nanos(u64::try_from(every.checked_mul(u128::from(ticked) + 1)?).ok()?);
            (due <= end).then_some((due, index))
        };
        self.config.bindings.iter().enumerate().filter_map(due).min()
    }

    fn tick(&mut self, index: usize) -> Vec<Step> {
        if let Some(ticked) = self.ticked.get_mut(index) {
            *ticked += 1;
        }
        let now_ms = self.now_ms();
        let Some(binding) = self.config.bindings.get(index) else { return Vec::new() };
        let Some(chain) = self.chains.get_mut(index).and_then(Option::as_mut) else { return Vec::new() };
        let ticked = chain.tick(now_ms);
        let failed = ticked.failures.iter().map(|failure| Step {
            binding: Some(binding.name.to_string()),
            verdict: Verdict::Failed(failure.to_string()),
            sent: Vec::new(),
        });
        let mut steps: Vec<_> = failed.collect();
        for message in ticked.messages {
            let made = Inbound { origin: Arc::new(Origin::gateway(now_ms)), ..self.inbound(message, 0) };
            let sent = self.sent(settle_tick(&self.config.gateway.id, binding, &made, &self.counters));
            let step = Step { binding: Some(binding.name.to_string()), verdict: Verdict::Ticked, sent };
            let local = locals(&step, 0);
            steps.push(step);
            steps.extend(self.follow(local));
        }
        steps
    }

    fn follow(&mut self, mut waiting: VecDeque<(Message, u8)>) -> Vec<Step> {
        let mut steps = Vec::new();
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
                waiting.extend(locals(&step, hops));
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
        Step { binding: Some(binding.name.to_string()), verdict, sent: self.sent(settled) }
    }

    /// What plugins remember is in their stores already; there is no disk to carry it to.
    fn run(&mut self, index: usize, inbound: &Inbound) -> Outcome {
        let (message, origin) = (inbound.message.clone(), inbound.origin.clone());
        match self.chains.get_mut(index).and_then(Option::as_mut) {
            Some(chain) => {
                chain.run(vec![Envelope { message, origin }]).pop().map_or(Outcome::Filtered, |done| done.outcome)
            }
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

    fn now_ms(&self) -> u64 {
        self.started_ms.saturating_add(u64::try_from(self.passed.as_millis()).unwrap_or(u64::MAX))
    }

    fn inbound(&self, message: Message, hops: u8) -> Inbound {
        let origin = Arc::new(Origin { client: self.client.clone(), arrived_ms: self.now_ms(), hops, principal: None });
        Inbound { message, origin, arrived: Instant::now(), receipt: Receipt::none(), changes: Vec::new(), attempts: 0 }
    }
}

const LOCAL: &str = "local";

/// What meets the bindings again.
fn locals(step: &Step, hops: u8) -> VecDeque<(Message, u8)> {
    let local = step.sent.iter().filter(|sent| sent.to == LOCAL);
    local.map(|sent| (sent.message.clone(), hops + 1)).collect()
}

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
        let Ok(Some(line::Order::Send(message))) = line::read(text.as_bytes()) else { panic!("{text}") };
        rehearsal.put(message).into_iter().map(tell).collect()
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
