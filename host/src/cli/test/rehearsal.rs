//! A message on its way through the bindings, without sockets and threads: the table, the chains and the routing are the gateway's own.
//!
//! What a binding republishes locally meets the bindings again, one hop further, as it would in the gateway. Plugins keep
//! their state from one message to the next, and the order is that of the input. Time stands still but for [`Rehearsal::wait`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::unix_ms;
use crate::bindings::{self, Inbound, Routed, Table, route, route_tick};
use crate::chain::{Chain, Done, Outcome};
use crate::config::{Binding, BindingId, Config, FaultPolicy, UpstreamId};
use crate::message::{Message, Origin};
use crate::plugin::Envelope;
use crate::setup::{self, Refusals};

pub struct Rehearsal<'a> {
    config: &'a Config,
    table: Table,
    /// One for each binding; none where it has no plugins.
    chains: Vec<Option<Chain>>,
    client: Arc<str>,
    /// Who sends; none: a device.
    from: Option<UpstreamId>,
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
    /// Made by a timer.
    Tick,
    /// With the plugin and its reason; what `on_error` made of it is in `sent`.
    Failed(String),
    /// No binding matches: the message stays local.
    Unmatched,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Sent {
    /// `upstream cloud` or `local`.
    pub to: String,
    pub message: Message,
}

// === impl Rehearsal ===

impl<'a> Rehearsal<'a> {
    /// Nothing is written but compiled components, where the gateway keeps its own.
    pub fn new(config: &'a Config, client: &str) -> Result<Self, Refusals> {
        // A file of bad lines is a test of the plugin and not its retirement.
        let mut patient = config.clone();
        for binding in &mut patient.bindings {
            let on_failure = std::mem::take(&mut binding.faults.on_failure);
            binding.faults = FaultPolicy { on_failure, ..FaultPolicy::NONE };
        }
        let mut chains = setup::prepare(&patient, setup::shared_cache(config).as_deref())?.chains.into_iter();
        let chain = |binding: &Binding| if binding.plugins.is_empty() { None } else { chains.next() };
        let chains = config.bindings.iter().map(chain).collect();
        let ticked = vec![0; config.bindings.len()];
        let table = Table::new(config.bindings.iter().map(|spec| bindings::Binding::new(spec.clone(), None)).collect());
        let (client, from, started_ms, passed) = (client.into(), None, unix_ms(), Duration::ZERO);
        Ok(Self { ticked, table, config, chains, client, from, started_ms, passed })
    }

    pub fn sent_by(self, upstream: Option<UpstreamId>) -> Self {
        Self { from: upstream, ..self }
    }

    pub fn put(&mut self, message: Message) -> Vec<Step> {
        let origin = Arc::new(Origin {
            client: self.client.clone(),
            arrived_ms: self.now_ms(),
            hops: 0,
            principal: None,
            source: None,
            trace: None,
        });
        self.follow(VecDeque::from([Inbound::internal(message, origin)]))
    }

    /// Lets time pass: bindings tick as often as they would, in the order of time.
    pub fn wait(&mut self, time: Duration) -> Vec<Step> {
        let end = self.passed + time;
        let mut steps = Vec::new();
        while let Some((due, binding)) = self.next_tick(end) {
            self.passed = due;
            steps.extend(self.tick(binding));
        }
        self.passed = end;
        steps
    }

    /// Until `end`: when, and which binding. Its number tells those apart that are due at once.
    fn next_tick(&self, end: Duration) -> Option<(Duration, BindingId)> {
        let due = |(index, binding): (usize, &Binding)| {
            let every = binding.tick?.as_nanos();
            let ticked = self.ticked.get(index).copied().unwrap_or_default();
            let due = Duration::from_nanos(u64::try_from(every.checked_mul(u128::from(ticked) + 1)?).ok()?);
            (due <= end).then_some((due, BindingId(index)))
        };
        self.config.bindings.iter().enumerate().filter_map(due).min()
    }

    fn tick(&mut self, id: BindingId) -> Vec<Step> {
        if let Some(ticked) = id.of_mut(&mut self.ticked) {
            *ticked += 1;
        }
        let now_ms = self.now_ms();
        let Some(binding) = id.of(&self.config.bindings) else { return Vec::new() };
        let Some(chain) = id.of_mut(&mut self.chains).and_then(Option::as_mut) else { return Vec::new() };
        let ticked = chain.tick(now_ms);
        let failed = ticked.failures.iter().map(|failure| Step {
            binding: Some(binding.name.to_string()),
            verdict: Verdict::Failed(failure.to_string()),
            sent: Vec::new(),
        });
        let mut steps: Vec<_> = failed.collect();
        for message in ticked.messages {
            let mut made = Inbound::internal(message, Arc::new(Origin::gateway(now_ms)));
            let routed = route_tick(&self.config.gateway.id, binding, &made);
            let local = further(&routed, &mut made).collect();
            let verdict = verdict_of(&routed).unwrap_or(Verdict::Tick);
            let sent = self.sent(routed);
            steps.push(Step { binding: Some(binding.name.to_string()), verdict, sent });
            steps.extend(self.follow(local));
        }
        steps
    }

    fn follow(&mut self, mut waiting: VecDeque<Inbound>) -> Vec<Step> {
        let config: &'a Config = self.config;
        let mut steps = Vec::new();
        while let Some(mut inbound) = waiting.pop_front() {
            let topic = &inbound.message.topic;
            let matching = match self.from.filter(|_| inbound.origin.hops == 0) {
                Some(upstream) => self.table.matching_from(upstream, topic),
                None => self.table.matching(topic),
            };
            if matching.is_empty() && inbound.origin.hops == 0 {
                steps.push(Step { binding: None, verdict: Verdict::Unmatched, sent: Vec::new() });
            }
            for id in matching.iter().copied() {
                let Some(binding) = id.of(&config.bindings) else { continue };
                let (verdict, routed) = self.step(id, binding, &inbound);
                waiting.extend(further(&routed, &mut inbound));
                steps.push(Step { binding: Some(binding.name.to_string()), verdict, sent: self.sent(routed) });
            }
        }
        steps
    }

    fn step(&mut self, id: BindingId, binding: &Binding, inbound: &Inbound) -> (Verdict, Routed) {
        let Done { outcome, skipped, .. } = self.run(id, inbound);
        let otherwise = if outcome == Outcome::Filtered { Verdict::Filtered } else { Verdict::Forwarded };
        let routed = route(&self.config.gateway.id, binding, inbound, outcome);
        let routed = routed.without(skipped);
        (verdict_of(&routed).unwrap_or(otherwise), routed)
    }

    /// What plugins remember is in their stores already; there is no disk to carry it to.
    fn run(&mut self, id: BindingId, inbound: &Inbound) -> Done {
        let (message, origin) = (inbound.message.clone(), inbound.origin.clone());
        match id.of_mut(&mut self.chains).and_then(Option::as_mut) {
            Some(chain) => {
                let done = chain.run(vec![Envelope { message, origin }]).pop();
                done.unwrap_or_else(|| Done::of(Outcome::Filtered))
            }
            None => Done::of(Outcome::Outputs(vec![message])),
        }
    }

    fn sent(&self, Routed { outputs, local, .. }: Routed) -> Vec<Sent> {
        let upstream = |id: UpstreamId| id.of(&self.config.upstreams).map_or("", |upstream| &upstream.name);
        let outputs = outputs
            .into_iter()
            .map(|output| Sent { to: format!("upstream {}", upstream(output.upstream)), message: output.message });
        let local = local.into_iter().map(|message| Sent { to: LOCAL.to_owned(), message });
        outputs.chain(local).collect()
    }

    fn now_ms(&self) -> u64 {
        self.started_ms.saturating_add(u64::try_from(self.passed.as_millis()).unwrap_or(u64::MAX))
    }
}

const LOCAL: &str = "local";

fn verdict_of(routed: &Routed) -> Option<Verdict> {
    routed.failure.as_ref().map(|failure| Verdict::Failed(failure.to_string()))
}

/// What meets the bindings again.
fn further(routed: &Routed, cause: &mut Inbound) -> impl Iterator<Item = Inbound> {
    routed.local.iter().map(|message| cause.further(message.clone()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::line;
    use super::*;
    use crate::config::parse;

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
        assert_eq!(told("[other] x"), [r#""" Unmatched: "#]);
    }
}
