//! A plugin in service: an instance, and another one when it breaks.
//!
//! Supervision is five rules:
//! 1. A fault of one message is that message's failure; the instance goes on.
//! 2. After a fault of the instance it is dropped, and the next message meets a fresh one.
//! 3. A batch that breaks the instance is tried again one by one, so that only the culprit fails. Its innocent neighbours
//!    are seen twice by the plugin, but never by the same instance: the state that saw them first is gone.
//!    A batch that breaks it although none of its messages does alone is the plugin's own fault. It is counted and told, and when it
//!    happens again and again there are no batches any more.
//! 4. When no instance can be started, messages fail as unavailable, and starting is tried again on later messages, with
//!    growing distance.
//! 5. After too many faults the plugin is not asked at all for a while, and then about one message (`breaker`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::clock;
use crate::config::FaultPolicy;
use crate::message::Message;
use crate::plugin::{
    Answer, Envelope, FailureKind, Fault, Instance, LoadedPlugin, PluginStats, StartError, StateStore, Traits, Verdict,
};

use super::batches::Batches;
use super::batching;
use super::breaker::{Admission, Source};
use super::deletes;
use super::guard::Guard;
use super::instances::{Awaited, Instances};
use super::outcome::Failure;
use super::restart::Restart;
use super::stage::{Guest, Stage};
use super::starter::Starter;

/// Processor time. A plugin that breaks and needs more than this to start again is at fault itself, whosever message it was.
const LONG_START: Duration = Duration::from_millis(100);

pub struct PluginStage<G = Instance> {
    name: String,
    instances: Instances<G>,
    guard: Guard,
    batches: Batches,
    stats: Arc<PluginStats>,
    has_timer: bool,
    /// As the first instance said.
    traits: Traits,
}

// === impl PluginStage ===

impl PluginStage {
    /// `store` is what every instance remembers, one after the other.
    pub fn start(
        plugin: &LoadedPlugin,
        binding: &str,
        faults: &FaultPolicy,
        store: &StateStore,
        starter: Option<Starter>,
    ) -> Result<Self, StartError> {
        let (name, stats) = (plugin.name().to_owned(), Arc::clone(plugin.stats()));
        let guard = Guard::new(plugin.name(), binding, faults.breaker, &stats);
        let has_timer = plugin.component().inspection().timer;
        let (plugin, store) = (plugin.clone(), store.clone());
        let restart = Restart::new(Box::new(move || plugin.start_with(&store)), starter);
        let stage = Self::supervise(name, guard, stats, restart)?;
        Ok(Self { has_timer, ..stage })
    }
}

impl<G: Guest + 'static> PluginStage<G> {
    /// Whether no message may go around it.
    pub fn must_run(&self) -> bool {
        self.traits.must_run
    }

    fn supervise(name: String, guard: Guard, stats: Arc<PluginStats>, restart: Restart<G>) -> Result<Self, StartError> {
        let (instances, traits) = Instances::start(&name, restart, &stats)?;
        Ok(Self { name, instances, guard, batches: Batches::default(), stats, has_timer: false, traits })
    }

    /// Answers for some of them, from the front. None at all: together they broke the instance, ask again.
    fn step(&mut self, waiting: &[Envelope]) -> Vec<Result<Verdict, Box<Failure>>> {
        if self.traits.takes_deletes {
            return self.ask(waiting);
        }
        match waiting.split_at(deletes::before_the_next(waiting)) {
            ([], [delete, ..]) => vec![Ok(deletes::pass_by(&delete.message))],
            (readings, _) => self.ask(readings),
        }
    }

    fn ask(&mut self, waiting: &[Envelope]) -> Vec<Result<Verdict, Box<Failure>>> {
        let count = match self.guard.admit() {
            Admission::Any => self.together(waiting),
            Admission::One => 1,
            Admission::None => return waiting.iter().map(|_| Err(self.failed(self.guard.not_admitted()))).collect(),
        };
        match waiting.get(..count) {
            Some([envelope]) => vec![self.one(envelope)],
            Some(run) => self.many(run),
            None => Vec::new(),
        }
    }

    fn one(&mut self, envelope: &Envelope) -> Result<Verdict, Box<Failure>> {
        let answer = self.instances.call(|guest| guest.process_one(envelope));
        if self.batches.alone(answer.is_err()) {
            tracing::error!(plugin = self.name, "its batches fail and their messages alone do not: no more batches");
        }
        let answer = answer.flatten();
        self.judge(answer, envelope)
    }

    fn many(&mut self, batch: &[Envelope]) -> Vec<Result<Verdict, Box<Failure>>> {
        match self.instances.call(|guest| guest.process_batch(batch)) {
            Ok(answers) => answers.into_iter().zip(batch).map(|(answer, on)| self.judge(answer, on)).collect(),
            Err(fault) => {
                self.stats.batch_faults.increment();
                tracing::warn!(plugin = self.name, "a batch of {} is tried one by one: {fault}", batch.len());
                self.batches.broke(batch.len());
                Vec::new()
            }
        }
    }

    /// A long start counts against the plugin: the breaker sees how near faults are to each other, and what takes long to start has
    /// few in any time.
    fn came(&mut self, failed: Option<Fault>, took: Duration) {
        if took > LONG_START || failed.is_some() {
            let long = format!("it broke, and needs {took:.1?} to start");
            self.guard.fault(failed.map_or(long, |fault| fault.to_string()), None);
        }
    }

    fn judge(&mut self, answer: Answer, on: &Envelope) -> Result<Verdict, Box<Failure>> {
        self.learn(&answer, || source(on));
        answer.map_err(|fault| self.failed(fault))
    }

    /// What an answer says about the plugin. A "not now" says nothing yet: it counts when it is given up.
    fn learn<T>(&mut self, answer: &Result<T, Fault>, by: impl FnOnce() -> Source) {
        match answer {
            Ok(_) | Err(Fault { kind: FailureKind::Refused { transient: false }, .. }) => self.guard.success(),
            Err(Fault { kind: FailureKind::Refused { transient: true }, .. }) => {}
            // No message was there when it did not start.
            Err(fault) if fault.kind == FailureKind::Unavailable => self.guard.fault(fault, None),
            Err(fault) => self.guard.fault(fault, by()),
        }
    }

    fn failed(&self, fault: Fault) -> Box<Failure> {
        self.stats.fault(fault.kind);
        let attempts = u32::from(fault.kind != FailureKind::BreakerOpen);
        let Fault { kind, detail } = fault;
        Box::new(Failure { plugin: self.name.clone(), kind, detail, attempts, then: None })
    }

    /// How many messages cross together. Whether the plugin can is known of an instance; without one, one by one.
    fn together(&self, waiting: &[Envelope]) -> usize {
        match self.instances.present() {
            Some(guest) if guest.is_batched() && self.batches.are_good() => batching::together(waiting),
            _ => waiting.len().min(1),
        }
    }
}

impl<G: Guest + 'static> Stage for PluginStage<G> {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&mut self, batch: &[Envelope], until: Instant) -> Vec<Result<Verdict, Box<Failure>>> {
        let mut answers = Vec::with_capacity(batch.len());
        while let Some(waiting @ [_, ..]) = batch.get(answers.len()..) {
            if self.wait().is_some() {
                break;
            }
            answers.append(&mut self.step(waiting));
            if !answers.is_empty() && clock::now() >= until {
                break;
            }
        }
        self.stats.messages.add(answers.len() as u64);
        answers
    }

    fn wait(&mut self) -> Option<Duration> {
        // Nobody is asked behind an open breaker.
        if self.guard.is_open() {
            return None;
        }
        match self.instances.awaited() {
            Awaited::Nothing => None,
            Awaited::For(wait) => Some(wait),
            Awaited::Came { failed, took, after } => {
                self.guard.time_passed(after);
                self.came(failed, took);
                None
            }
        }
    }

    fn tick(&mut self, now_ms: u64) -> Option<Result<Vec<Message>, Failure>> {
        if !self.has_timer {
            return None;
        }
        let made = match self.guard.admit() {
            Admission::None => Err(self.guard.not_admitted()),
            Admission::Any | Admission::One => {
                let made = self.instances.call(|guest| guest.tick(now_ms)).flatten();
                self.learn(&made, || None);
                made
            }
        };
        Some(made.map_err(|fault| *self.failed(fault)))
    }

    fn try_again(&mut self, messages: usize) {
        self.stats.retries.add(messages as u64);
    }

    fn gave_up(&mut self, on: &Envelope) {
        self.guard.fault("it could not handle a message for the time being, as often as it was asked", source(on));
    }
}

/// The device whose message it is.
fn source(envelope: &Envelope) -> Source {
    Some(envelope.origin.client.clone())
}

#[cfg(test)]
mod tests;
