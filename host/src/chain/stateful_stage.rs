//! One link of a chain: a stage, and what it remembers.
//!
//! A stage that remembers gets its messages one by one, because what it writes down belongs to one of them: the record of that
//! message carries it to the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{FaultPolicy, OnFailure};
use crate::message::{Message, Origin};
use crate::plugin::{Envelope, LoadedPlugin, StartError, StateStore, Verdict};
use crate::spool::Change;

use super::outcome::{Failure, TickResult};
use super::plugin_stage::PluginStage;
use super::stage::Stage;
use super::stages::Means;
use super::{Done, Outcome};

pub struct StatefulStage {
    stage: Box<dyn Stage>,
    store: StateStore,
    /// What becomes of a message that it fails, where that is not the binding's.
    policy: Option<OnFailure>,
    /// Of which binding; empty where it is none's.
    binding: Arc<str>,
    pub(super) redaction: Redaction,
}

/// Where a stage stands to those that must not be left out, because of what they take out of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Redaction {
    /// Before the last of them, or there is none.
    #[default]
    Before,
    /// It is the last of them.
    Last,
    Behind,
}

/// Why a plugin cannot be in this chain.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(
        "must not be left out, as \"pass\" would when it fails: write `on_error_of = {{ {0} = \"drop\" }}` or \"dead-letter\""
    )]
    MustRun(String),
}

// === impl Unfit ===

impl Unfit {
    /// A start may fail by chance; what a configuration asks for does not change by itself.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Start(_))
    }
}

// === impl StatefulStage ===

impl StatefulStage {
    /// Without memory.
    pub fn new(stage: Box<dyn Stage>) -> Self {
        let (store, redaction) = (StateStore::default(), Redaction::default());
        Self { stage, store, policy: None, binding: Arc::default(), redaction }
    }

    /// Of a stage that is no plugin, with a choice of its own.
    #[cfg(test)]
    pub fn with_policy(stage: Box<dyn Stage>, policy: OnFailure) -> Self {
        Self { policy: Some(policy), ..Self::new(stage) }
    }

    pub fn load(
        binding: &str,
        plugin: &LoadedPlugin,
        faults: &FaultPolicy,
        policy: Option<OnFailure>,
        means: &Means,
    ) -> Result<Self, Unfit> {
        let store = plugin.store_among(&means.stores, binding);
        let stage = PluginStage::start(plugin, binding, faults, &store, means.starter.clone())?;
        if stage.must_run() && policy == Some(OnFailure::Pass) {
            return Err(Unfit::MustRun(plugin.name().to_owned()));
        }
        let redaction = if stage.must_run() { Redaction::Last } else { Redaction::Before };
        Ok(Self { stage: Box::new(stage), store, policy, binding: binding.into(), redaction })
    }

    pub fn policy(&self) -> Option<OnFailure> {
        self.policy
    }

    pub fn store(&self) -> &StateStore {
        &self.store
    }

    pub fn name(&self) -> &str {
        self.stage.name()
    }

    pub fn binding(&self) -> &str {
        &self.binding
    }

    /// Finds where each of a chain stands to those that must not be left out. Whether there is one.
    pub(super) fn find_redaction(stages: &mut [Self]) -> bool {
        let last = stages.iter().rposition(|stage| stage.redaction == Redaction::Last);
        for (index, stage) in stages.iter_mut().enumerate() {
            stage.redaction = match last {
                Some(last) if index == last => Redaction::Last,
                Some(last) if index > last => Redaction::Behind,
                _ => Redaction::Before,
            };
        }
        last.is_some()
    }

    /// As [`Stage::process`]; with a memory, for the first message only.
    pub fn process(&mut self, batch: &[Envelope], until: Instant) -> Vec<Result<Verdict, Box<Failure>>> {
        let some = if self.store.is_stateful() { batch.get(..1).unwrap_or_default() } else { batch };
        self.stage.process(some, until)
    }

    /// What was written down since the last look.
    pub fn take_changes(&self) -> Vec<Change> {
        self.store.take_changes()
    }

    pub fn try_again(&mut self, messages: usize) {
        self.stage.try_again(messages);
    }

    /// As [`Stage::wait`].
    pub fn wait(&mut self) -> Option<Duration> {
        self.stage.wait()
    }

    pub fn gave_up(&mut self, on: &Envelope) {
        self.stage.gave_up(on);
    }

    /// What the clock makes here.
    pub fn tick(&mut self, now_ms: u64) -> Option<Result<Vec<Envelope>, Failure>> {
        let made = self.stage.tick(now_ms)?;
        let origin = Arc::new(Origin::gateway(now_ms));
        let envelope = |message: Message| Envelope { message, origin: Arc::clone(&origin) };
        Some(made.map(|messages| messages.into_iter().map(envelope).collect()))
    }
}

// === impl TickResult ===

impl FromIterator<Done> for TickResult {
    fn from_iter<I: IntoIterator<Item = Done>>(of_plugins: I) -> Self {
        let mut result = Self::default();
        for Done { outcome, changes, skipped, .. } in of_plugins {
            result.changes.extend(changes);
            result.failures.extend(skipped.map(|failure| *failure));
            match outcome {
                Outcome::Outputs(messages) => result.messages.extend(messages),
                Outcome::Filtered => {}
                Outcome::Failed(failure) => result.failures.push(*failure),
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::chain::Chain;
    use crate::chain::fixtures::{envelope, stage};
    use crate::config::PluginLimits;
    use crate::plugin::FailureKind;
    use crate::plugin::fixtures::{counting, counting_with};
    use crate::spool::Key;

    fn chain() -> Chain {
        Chain::load("b", &[counting("{}")], &FaultPolicy::NONE).unwrap()
    }

    /// The counting plugin, and this behind it.
    fn together(behind: Box<dyn Stage>) -> Chain {
        Chain::of(vec![
            StatefulStage::load("b", &counting("{}"), &FaultPolicy::NONE, None, &Means::default()).unwrap(),
            StatefulStage::new(behind),
        ])
    }

    fn run(chain: &mut Chain, payloads: &[&str]) -> Vec<Done> {
        chain.run(payloads.iter().map(|payload| envelope(payload)).collect())
    }

    /// The payload that came out or the kind of failure, and what was written down.
    fn tell(done: &Done) -> (String, Vec<String>) {
        let outcome = match &done.outcome {
            Outcome::Outputs(messages) => String::from_utf8(messages[0].payload.to_vec()).unwrap(),
            Outcome::Filtered => "filtered".to_owned(),
            Outcome::Failed(failure) => format!("{:?}", failure.kind),
        };
        (outcome, written(&done.changes))
    }

    fn written(changes: &[Change]) -> Vec<String> {
        let written = |change: &Change| {
            let Key::State { binding, plugin, key } = &change.key else { panic!("{change:?}") };
            assert_eq!((&**binding, &**plugin), ("b", "counting"));
            format!("{key}={}", change.value.as_ref().map_or("gone".into(), |value| String::from_utf8_lossy(value)))
        };
        changes.iter().map(written).collect()
    }

    #[test]
    fn each_message_of_a_turn_has_its_own_changes_also_one_that_is_dropped() {
        let done = run(&mut chain(), &["a", "b", "drop", "c", "d"]);
        let expected = [("1", "n=1"), ("2", "n=2"), ("filtered", "n=3"), ("4", "n=4"), ("5", "n=5")];
        let expected = expected.map(|(outcome, change)| (outcome.to_owned(), vec![change.to_owned()]));
        assert_eq!(done.iter().map(tell).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_plugin_that_writes_its_state_without_end_fails_its_messages_and_goes_on_later() {
        let plugin =
            counting_with(PluginLimits { state: 64 << 10, state_per_second: 1_024, ..PluginLimits::default() });
        let mut chain = Chain::load("b", &[plugin], &FaultPolicy::NONE).unwrap();
        let outcomes = run(&mut chain, &["rewrite", "rewrite", "a"]);
        let Outcome::Failed(failure) = &outcomes[1].outcome else { panic!("{outcomes:?}") };
        assert_eq!(failure.kind, FailureKind::Refused { transient: true });
        assert!(failure.detail.contains("`limits.state_per_second`"), "{failure}");
        assert_eq!(outcomes[1].changes, [], "it has left no trace");
        assert_eq!(tell(&outcomes[2]), ("2".into(), vec!["n=2".into()]), "small changes go on");
    }

    #[test]
    fn a_call_that_ends_badly_leaves_no_trace_and_the_next_goes_on_from_before() {
        for (vice, kind) in [
            ("panic", FailureKind::Trapped),
            ("refuse", FailureKind::Refused { transient: false }),
            ("loop", FailureKind::Deadline),
            ("hoard", FailureKind::Refused { transient: false }),
        ] {
            let done = run(&mut chain(), &["a", "b", vice, "c", "keys"]);
            let told: Vec<_> = done.iter().map(tell).collect();
            assert_eq!(told[2], (format!("{kind:?}"), vec![]), "{vice}");
            assert_eq!(told[3], ("3".to_owned(), vec!["n=3".to_owned()]), "{vice}");
            assert_eq!(told[4].0, "n", "{vice}");
        }
    }

    #[test]
    fn a_plugin_keeps_what_it_wrote_when_another_behind_it_fails() {
        let failing = stage(|_| Err(crate::chain::fixtures::failure("next").into()));
        let done = run(&mut together(failing), &["a"]);
        assert!(matches!(done[0].outcome, Outcome::Failed(_)));
        assert_eq!(written(&done[0].changes), ["n=1"]);
    }

    #[test]
    fn what_the_clock_makes_goes_through_the_plugins_behind() {
        let upper = stage(|payload| Ok(Verdict::Replace(payload.to_uppercase().into())));
        let result = together(upper).tick(7);
        let payloads: Vec<&Bytes> = result.messages.iter().map(|message| &message.payload).collect();
        assert_eq!(payloads, [r#"{"ID":"TICK-1","SEEN":0}"#]);
        assert_eq!((written(&result.changes), result.failures), (vec!["ticks=1".to_owned()], vec![]));
    }

    #[test]
    fn state_that_was_restored_is_there_for_the_first_message() {
        let mut chain = chain();
        chain.stores().for_each(|store| store.restore(&"n".into(), &"41".into()));
        assert_eq!(tell(&run(&mut chain, &["a"])[0]).0, "42");
    }

    #[test]
    fn asking_for_state_in_configure_is_refused_in_words() {
        let error = Chain::load("b", &[counting(r#"{"early": true}"#)], &FaultPolicy::NONE).err().unwrap();
        assert!(error.to_string().contains("asked for its state in `configure`"), "{error}");
    }

    #[test]
    fn what_a_plugin_counts_is_kept_under_its_name_also_when_it_fails() {
        let plugin = counting("{}");
        let mut chain = Chain::load("b", std::slice::from_ref(&plugin), &FaultPolicy::NONE).unwrap();
        run(&mut chain, &["a", "refuse", "b"]);
        let metrics: Vec<_> =
            plugin.stats().metrics.snapshot().into_iter().map(|(name, metric)| format!("{name}={metric}")).collect();
        assert_eq!(metrics, ["seen=3", "seq=2"]);
    }
}
