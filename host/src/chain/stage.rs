//! A plugin in service: an instance, and another one when it breaks.
//!
//! Supervision is four rules:
//! 1. A fault of one message is that message's failure; the instance goes on.
//! 2. After a fault of the instance it is dropped, and the next message meets a fresh one.
//! 3. A batch that breaks the instance is tried again one by one, so that only the culprit fails. Its innocent neighbours
//!    are seen twice by the plugin, but never by the same instance: the state that saw them first is gone.
//! 4. When no instance can be started, messages fail as unavailable, and starting is tried again on later messages, with
//!    growing distance.

use std::sync::Arc;
use std::time::Instant;

use crate::message::Message;
use crate::plugin::{Answer, Fault, Instance, LoadedPlugin, PluginStats, StartError, StateStore};

use super::backoff::Backoff;
use super::batching;
use super::outcome::{Failure, FailureKind};
use super::verdict::{Envelope, Stage, Verdict};

/// What a stage needs of an instance. The outer error is the instance's end, an inner one concerns its message.
pub trait Guest: Send {
    fn is_batched(&self) -> bool;
    fn process_one(&mut self, envelope: &Envelope) -> Result<Answer, Fault>;
    /// At least one message, none with properties; one answer for each.
    fn process_batch(&mut self, batch: &[Envelope]) -> Result<Vec<Answer>, Fault>;
    /// Only asked of a plugin that has a clock.
    fn tick(&mut self, now_ms: u64) -> Result<Result<Vec<Message>, Fault>, Fault> {
        let _ = now_ms;
        Ok(Ok(Vec::new()))
    }
}

type Start<G> = Box<dyn FnMut() -> Result<G, StartError> + Send>;

pub struct PluginStage<G = Instance> {
    name: String,
    start: Start<G>,
    guest: Option<G>,
    backoff: Backoff,
    /// Why the last attempt to start failed.
    reason: String,
    stats: Arc<PluginStats>,
    has_clock: bool,
}

// === impl PluginStage ===

impl PluginStage {
    /// `store` is what every instance remembers, one after the other.
    pub fn start(plugin: &LoadedPlugin, store: &StateStore) -> Result<Self, StartError> {
        let (name, stats) = (plugin.name().to_owned(), Arc::clone(plugin.stats()));
        let has_clock = plugin.component().inspection().timer;
        let (plugin, store) = (plugin.clone(), store.clone());
        let stage = Self::supervise(name, stats, Box::new(move || plugin.start_with(&store)))?;
        Ok(Self { has_clock, ..stage })
    }
}

impl<G: Guest> PluginStage<G> {
    fn supervise(name: String, stats: Arc<PluginStats>, mut start: Start<G>) -> Result<Self, StartError> {
        let guest = Some(start()?);
        Ok(Self { name, start, guest, backoff: Backoff::default(), reason: String::new(), stats, has_clock: false })
    }

    fn one(&mut self, envelope: &Envelope) -> Result<Verdict, Failure> {
        let answer = self.call(|guest| guest.process_one(envelope)).flatten();
        answer.map_err(|fault| self.failed(fault))
    }

    fn many(&mut self, batch: &[Envelope]) -> Vec<Result<Verdict, Failure>> {
        match self.call(|guest| guest.process_batch(batch)) {
            Ok(answers) => answers.into_iter().map(|answer| answer.map_err(|fault| self.failed(fault))).collect(),
            Err(fault) => {
                tracing::debug!(plugin = self.name, "a batch of {} is tried one by one: {fault}", batch.len());
                batch.iter().map(|envelope| self.one(envelope)).collect()
            }
        }
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut G) -> Result<R, Fault>) -> Result<R, Fault> {
        let guest = self.revive()?;
        let started = Instant::now();
        let result = call(guest);
        self.stats.call(started.elapsed());
        if result.is_err() {
            self.guest = None;
        }
        result
    }

    /// The instance, or a fresh one.
    fn revive(&mut self) -> Result<&mut G, Fault> {
        if self.guest.is_none() {
            self.guest = Some(self.restart()?);
        }
        self.guest.as_mut().ok_or_else(|| Fault::new(FailureKind::Unavailable, &self.reason))
    }

    fn restart(&mut self) -> Result<G, Fault> {
        if !self.backoff.allows(Instant::now()) {
            return Err(Fault::new(FailureKind::Unavailable, &self.reason));
        }
        match (self.start)() {
            Ok(guest) => {
                self.stats.restarts.increment();
                self.backoff.succeeded();
                Ok(guest)
            }
            Err(error) => {
                self.reason = error.to_string();
                let delay = self.backoff.failed(Instant::now());
                tracing::error!(plugin = self.name, "cannot be restarted, next attempt in {delay:?}: {error}");
                Err(Fault::new(FailureKind::Unavailable, &self.reason))
            }
        }
    }

    fn failed(&self, fault: Fault) -> Failure {
        self.stats.fault(fault.kind);
        Failure { plugin: self.name.clone(), kind: fault.kind, detail: fault.detail }
    }

    /// How many messages cross together. Whether the plugin can is known of an instance; without one, one by one.
    fn together(&self, waiting: &[Envelope]) -> usize {
        match &self.guest {
            Some(guest) if guest.is_batched() => batching::together(waiting),
            _ => waiting.len().min(1),
        }
    }
}

impl<G: Guest> Stage for PluginStage<G> {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&mut self, batch: &[Envelope]) -> Vec<Result<Verdict, Failure>> {
        self.stats.messages.add(batch.len() as u64);
        let mut answers = Vec::with_capacity(batch.len());
        let mut waiting = batch;
        while let Some((run, rest)) = waiting.split_at_checked(self.together(waiting)) {
            match run {
                [] => break,
                [envelope] => answers.push(self.one(envelope)),
                run => answers.extend(self.many(run)),
            }
            waiting = rest;
        }
        answers
    }

    fn tick(&mut self, now_ms: u64) -> Option<Result<Vec<Message>, Failure>> {
        let made = self.has_clock.then(|| self.call(|guest| guest.tick(now_ms)).flatten())?;
        Some(made.map_err(|fault| self.failed(fault)))
    }
}

// === impl Guest ===

impl Guest for Instance {
    fn is_batched(&self) -> bool {
        self.is_batched()
    }

    fn process_one(&mut self, envelope: &Envelope) -> Result<Answer, Fault> {
        self.process_one(envelope)
    }

    fn process_batch(&mut self, batch: &[Envelope]) -> Result<Vec<Answer>, Fault> {
        self.process_batch(batch)
    }

    fn tick(&mut self, now_ms: u64) -> Result<Result<Vec<Message>, Fault>, Fault> {
        self.tick(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::fixtures::{envelope, payload};
    use std::sync::Mutex;

    /// Answers with how many messages it has seen; breaks on "trap", refuses "refuse".
    struct Counting {
        seen: usize,
        calls: Arc<Mutex<Vec<usize>>>,
    }

    impl Counting {
        fn answer(&mut self, envelope: &Envelope) -> Result<Answer, Fault> {
            self.seen += 1;
            match payload(envelope) {
                "trap" => Err(Fault::new(FailureKind::Trapped, "")),
                "refuse" => Ok(Err(Fault::new(FailureKind::Refused { transient: false }, ""))),
                _ => Ok(Ok(Verdict::Replace(self.seen.to_string().into()))),
            }
        }
    }

    impl Guest for Counting {
        fn is_batched(&self) -> bool {
            true
        }
        fn process_one(&mut self, envelope: &Envelope) -> Result<Answer, Fault> {
            self.calls.lock().unwrap().push(1);
            self.answer(envelope)
        }
        fn process_batch(&mut self, batch: &[Envelope]) -> Result<Vec<Answer>, Fault> {
            self.calls.lock().unwrap().push(batch.len());
            batch.iter().map(|envelope| self.answer(envelope)).collect()
        }
    }

    struct Bench {
        stage: PluginStage<Counting>,
        calls: Arc<Mutex<Vec<usize>>>,
    }

    /// The first `starts` instances start, later ones do not.
    fn bench(mut starts: usize) -> Bench {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&calls);
        let start = move || {
            starts = starts.checked_sub(1).ok_or_else(|| StartError::Config("no more".into()))?;
            Ok(Counting { seen: 0, calls: Arc::clone(&shared) })
        };
        Bench { stage: PluginStage::supervise("p".into(), Arc::default(), Box::new(start)).unwrap(), calls }
    }

    impl Bench {
        /// What became of each: a number as the instance counted, or the kind of failure.
        fn send(&mut self, payloads: &[&str]) -> Vec<String> {
            let batch: Vec<_> = payloads.iter().map(|payload| envelope(payload)).collect();
            let tell = |answer: Result<Verdict, Failure>| match answer {
                Ok(Verdict::Replace(payload)) => String::from_utf8(payload.to_vec()).unwrap(),
                Ok(other) => format!("{other:?}"),
                Err(failure) => format!("{:?}", failure.kind),
            };
            self.stage.process(&batch).into_iter().map(tell).collect()
        }
    }

    #[test]
    fn many_messages_are_one_call_and_few_are_one_each() {
        let mut bench = bench(1);
        assert_eq!(bench.send(&["x"; 5]), ["1", "2", "3", "4", "5"]);
        assert_eq!(bench.send(&["x"; 2]), ["6", "7"]);
        assert_eq!(*bench.calls.lock().unwrap(), [5, 1, 1]);
        assert_eq!((bench.stage.stats.calls.get(), bench.stage.stats.messages.get()), (3, 7));
    }

    #[test]
    fn a_refused_message_does_not_cost_the_instance_its_state() {
        let mut bench = bench(1);
        let refused = "Refused { transient: false }";
        assert_eq!(bench.send(&["x", "refuse", "x"]), ["1", refused, "3"]);
        assert_eq!(bench.stage.stats.restarts.get(), 0);
        assert_eq!(bench.stage.stats.refused.get(), 1);
    }

    #[test]
    fn after_a_trap_the_next_message_meets_a_fresh_instance() {
        let mut bench = bench(2);
        assert_eq!(bench.send(&["x", "trap", "x"]), ["1", "Trapped", "1"]);
        assert_eq!(bench.stage.stats.restarts.get(), 1);
    }

    #[test]
    fn when_a_batch_traps_only_the_culprit_fails() {
        let mut bench = bench(3);
        assert_eq!(bench.send(&["x", "x", "trap", "x", "x"]), ["1", "2", "Trapped", "1", "2"]);
        assert_eq!(*bench.calls.lock().unwrap(), [5, 1, 1, 1, 1, 1]);
        assert_eq!(bench.stage.stats.trapped.get(), 1);
    }

    #[test]
    fn a_plugin_that_cannot_be_restarted_fails_its_messages_with_the_reason() {
        let mut bench = bench(1);
        assert_eq!(bench.send(&["trap", "x", "x"]), ["Trapped", "Unavailable", "Unavailable"]);
        let failure = bench.stage.process(&[envelope("x")]).remove(0).unwrap_err();
        assert!(failure.detail.contains("no more"), "{failure}");
    }

    #[test]
    fn a_real_plugin_that_breaks_in_a_batch_harms_only_its_own_message() {
        let plugin = crate::plugin::fixtures::load("{}");
        for (vice, kind) in [
            ("panic", FailureKind::Trapped),
            ("loop", FailureKind::Deadline),
            ("memory", FailureKind::Memory),
            ("bulk", FailureKind::Invalid),
        ] {
            let mut stage = PluginStage::start(&plugin, &StateStore::default()).unwrap();
            let batch = ["x", "x", vice, "x", "x"].map(envelope);
            let answers = stage.process(&batch);
            let failures: Vec<_> =
                answers.iter().map(|answer| answer.as_ref().err().map(|failure| failure.kind)).collect();
            assert_eq!(failures, [None, None, Some(kind), None, None], "{vice}");
        }
        assert_eq!(plugin.stats().faults(), 4);
    }
}
