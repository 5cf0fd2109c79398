//! One link of a chain: a stage, and what it remembers.
//!
//! A stage that remembers gets its messages one by one, because what it writes down belongs to one of them: the record of that
//! message carries it to the disk.

use std::sync::Arc;

use crate::control::kill_point::{self, KillPoint};
use crate::message::{Message, Origin};
use crate::plugin::{LoadedPlugin, StartError, StateStore};

use super::fold::Flow;
use super::outcome::{Failure, Ticked};
use super::stage::PluginStage;
use super::verdict::{Envelope, Stage, Verdict};
use super::{Done, Outcome};

pub struct Link {
    stage: Box<dyn Stage>,
    store: StateStore,
}

// === impl Link ===

impl Link {
    /// Without memory.
    pub fn new(stage: Box<dyn Stage>) -> Self {
        Self { stage, store: StateStore::default() }
    }

    pub fn load(binding: &str, plugin: &LoadedPlugin) -> Result<Self, StartError> {
        let store = plugin.store(binding);
        Ok(Self { stage: Box::new(PluginStage::start(plugin, &store)?), store })
    }

    pub fn store(&self) -> &StateStore {
        &self.store
    }

    /// Everything that has come this far goes through.
    pub fn pass(&mut self, flow: &mut Flow) {
        if flow.parts().is_empty() {
            return;
        }
        let answers = if self.store.is_stateful() { self.one_by_one(flow) } else { self.stage.process(flow.parts()) };
        kill_point::reach(KillPoint::InPlugin);
        flow.advance(self.stage.name(), answers);
    }

    /// What the clock makes here joins what goes on.
    pub fn tick(&mut self, now_ms: u64, flow: &mut Flow) {
        let Some(made) = self.stage.tick(now_ms) else { return };
        let origin = Arc::new(Origin::gateway(now_ms));
        let envelope = |message: Message| Envelope { message, origin: Arc::clone(&origin) };
        let made = made.map(|messages| messages.into_iter().map(envelope).collect());
        flow.enter(self.stage.name(), made, self.store.take_changes());
    }

    fn one_by_one(&mut self, flow: &mut Flow) -> Vec<Result<Verdict, Failure>> {
        let mut answers = Vec::with_capacity(flow.parts().len());
        for index in 0..flow.parts().len() {
            let one = flow.parts().get(index..=index).unwrap_or_default();
            answers.extend(self.stage.process(one).into_iter().take(1));
            flow.note(index, self.store.take_changes());
        }
        answers
    }
}

// === impl Ticked ===

impl FromIterator<Done> for Ticked {
    fn from_iter<I: IntoIterator<Item = Done>>(of_plugins: I) -> Self {
        let mut ticked = Self::default();
        for Done { outcome, changes } in of_plugins {
            ticked.changes.extend(changes);
            match outcome {
                Outcome::Outputs(messages) => ticked.messages.extend(messages),
                Outcome::Filtered => {}
                Outcome::Failed(failure) => ticked.failures.push(failure),
            }
        }
        ticked
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::chain::fixtures::{envelope, stage};
    use crate::chain::{Chain, FailureKind};
    use crate::plugin::fixtures::counting;
    use crate::spool::{Change, Key};

    fn chain() -> Chain {
        Chain::load("b", &[counting("{}")]).unwrap()
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
        let failing = stage(|_| Err(crate::chain::fixtures::failure("next")));
        let mut flow = Flow::new(vec![envelope("a")]);
        Link::load("b", &counting("{}")).unwrap().pass(&mut flow);
        Link::new(failing).pass(&mut flow);
        let done = flow.finish();
        assert!(matches!(done[0].outcome, Outcome::Failed(_)));
        assert_eq!(written(&done[0].changes), ["n=1"]);
    }

    #[test]
    fn what_the_clock_makes_goes_through_the_plugins_behind() {
        let upper = stage(|payload| Ok(Verdict::Replace(payload.to_uppercase().into())));
        let mut flow = Flow::new(Vec::new());
        let (mut first, mut second) = (Link::load("b", &counting("{}")).unwrap(), Link::new(upper));
        for link in [&mut first, &mut second] {
            link.pass(&mut flow);
            link.tick(7, &mut flow);
        }
        let ticked: Ticked = flow.finish().into_iter().collect();
        let payloads: Vec<&Bytes> = ticked.messages.iter().map(|message| &message.payload).collect();
        assert_eq!(payloads, [r#"{"ID":"TICK-1","SEEN":0}"#]);
        assert_eq!((written(&ticked.changes), ticked.failures), (vec!["ticks=1".to_owned()], vec![]));
    }

    #[test]
    fn state_that_was_restored_is_there_for_the_first_message() {
        let mut chain = chain();
        chain.stores().for_each(|store| store.restore(&"n".into(), &"41".into()));
        assert_eq!(tell(&run(&mut chain, &["a"])[0]).0, "42");
    }

    #[test]
    fn asking_for_state_in_configure_is_refused_in_words() {
        let error = Chain::load("b", &[counting(r#"{"early": true}"#)]).err().unwrap();
        assert!(error.to_string().contains("asked for its state in `configure`"), "{error}");
    }

    #[test]
    fn what_a_plugin_counts_is_kept_under_its_name_also_when_it_fails() {
        let plugin = counting("{}");
        let mut chain = Chain::load("b", std::slice::from_ref(&plugin)).unwrap();
        run(&mut chain, &["a", "refuse", "b"]);
        let metrics: Vec<_> =
            plugin.stats().metrics.snapshot().into_iter().map(|(name, metric)| format!("{name}={metric}")).collect();
        assert_eq!(metrics, ["seen=3", "seq=2"]);
    }
}
