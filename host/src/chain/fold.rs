//! A chain: the stages of one binding, and the fold of messages through them.
//!
//! All messages of a turn go through the first stage, what they became through the second, and so on: each stage sees as
//! many messages at once as there are. An input's parts share its fate: when a plugin fails one of them, the input failed,
//! because half of what a device said is not something that anybody asked for. Its other parts go no further.

use crate::plugin::{LoadedPlugin, StartError, StateStore};
use crate::spool::Change;

use super::link::Link;
use super::outcome::{Done, Failure, FailureKind, Outcome, Ticked};
use super::verdict::{Envelope, Stage, Verdict};

/// Messages that one input may become. Each plugin has a limit of its own; this one is for their product.
const MAX_PARTS: usize = 1_024;

/// Bytes that they may have together, once they are more than one.
const MAX_PART_BYTES: usize = 4 << 20;

pub struct Chain {
    links: Vec<Link>,
}

#[derive(Debug, thiserror::Error)]
#[error("binding `{binding}`: plugin `{plugin}` {reason}")]
pub struct ChainError {
    pub binding: String,
    pub plugin: String,
    pub reason: StartError,
}

/// The messages of a turn on their way, each with the input that it comes from.
pub(super) struct Flow {
    parts: Vec<Envelope>,
    owners: Vec<usize>,
    inputs: Vec<Input>,
}

#[derive(Default)]
struct Input {
    failure: Option<Failure>,
    parts: usize,
    bytes: usize,
    changes: Vec<Change>,
}

// === impl Chain ===

impl Chain {
    /// With no stages it is the identity.
    pub fn new(stages: Vec<Box<dyn Stage>>) -> Self {
        Self { links: stages.into_iter().map(Link::new).collect() }
    }

    /// Starts an instance of each plugin, so that a configuration which a plugin does not accept is known now.
    pub fn load(binding: &str, plugins: &[LoadedPlugin]) -> Result<Self, ChainError> {
        let link = |plugin: &LoadedPlugin| {
            Link::load(binding, plugin).map_err(|reason| ChainError {
                binding: binding.to_owned(),
                plugin: plugin.name().to_owned(),
                reason,
            })
        };
        Ok(Self { links: plugins.iter().map(link).collect::<Result<_, _>>()? })
    }

    /// What its plugins remember: one store for each that does.
    pub fn stores(&self) -> impl Iterator<Item = &StateStore> {
        self.links.iter().map(Link::store).filter(|store| store.is_stateful())
    }

    /// One outcome for each input, in order.
    pub fn run(&mut self, inputs: Vec<Envelope>) -> Vec<Done> {
        let mut flow = Flow::new(inputs);
        for link in &mut self.links {
            link.pass(&mut flow);
        }
        flow.finish()
    }

    /// Calls each plugin that has a clock, in the order of the chain. What one makes goes through those behind it before they
    /// are called themselves.
    pub fn tick(&mut self, now_ms: u64) -> Ticked {
        let mut flow = Flow::new(Vec::new());
        for link in &mut self.links {
            link.pass(&mut flow);
            link.tick(now_ms, &mut flow);
        }
        flow.finish().into_iter().collect()
    }
}

// === impl Flow ===

impl Flow {
    pub fn new(parts: Vec<Envelope>) -> Self {
        let inputs = parts.iter().map(|_| Input::default()).collect();
        Self { owners: (0..parts.len()).collect(), parts, inputs }
    }

    pub fn parts(&self) -> &[Envelope] {
        &self.parts
    }

    /// What was written down about the part at this position.
    pub fn note(&mut self, part: usize, changes: Vec<Change>) {
        if let Some(input) = self.owners.get(part).and_then(|owner| self.inputs.get_mut(*owner)) {
            input.changes.extend(changes);
        }
    }

    /// An input that is no message: what the clock made here.
    pub fn enter(&mut self, stage: &str, made: Result<Vec<Envelope>, Failure>, changes: Vec<Change>) {
        let (owner, mut input) = (self.inputs.len(), Input { changes, ..Input::default() });
        match made {
            Ok(parts) if parts.iter().all(|part| input.grow(stage, part.message.weight())) => {
                self.owners.extend(parts.iter().map(|_| owner));
                self.parts.extend(parts);
            }
            Ok(_) => {}
            Err(failure) => input.failure = Some(failure),
        }
        self.inputs.push(input);
    }

    pub fn advance(&mut self, stage: &str, answers: Vec<Result<Verdict, Failure>>) {
        let (parts, owners) = (std::mem::take(&mut self.parts), std::mem::take(&mut self.owners));
        for input in &mut self.inputs {
            (input.parts, input.bytes) = (0, 0);
        }
        // A stage that answers for fewer messages than it got is broken; what it did not answer for failed.
        let missing = std::iter::repeat_with(|| Err(invalid(stage, "gave no verdict")));
        for ((envelope, owner), answer) in parts.into_iter().zip(owners).zip(answers.into_iter().chain(missing)) {
            self.take(stage, envelope, owner, answer);
        }
        self.drop_failed();
    }

    fn take(&mut self, stage: &str, envelope: Envelope, owner: usize, answer: Result<Verdict, Failure>) {
        let Some(input) = self.inputs.get_mut(owner) else { return };
        let Envelope { message, origin } = envelope;
        match answer {
            _ if input.failure.is_some() => {}
            Err(failure) => input.failure = Some(failure),
            Ok(verdict) => verdict.apply(message, |message| {
                if input.grow(stage, message.weight()) {
                    self.parts.push(Envelope { message, origin: origin.clone() });
                    self.owners.push(owner);
                }
            }),
        }
    }

    /// Parts that were kept before their input failed at a later one.
    fn drop_failed(&mut self) {
        if self.inputs.iter().all(|input| input.failure.is_none()) {
            return;
        }
        let lives = |owner: &usize| self.inputs.get(*owner).is_some_and(|input| input.failure.is_none());
        let mut kept = self.owners.iter().map(lives);
        self.parts.retain(|_| kept.next().unwrap_or(false));
        self.owners.retain(lives);
    }

    pub fn finish(self) -> Vec<Done> {
        let fate = |input: Input| Done {
            outcome: input.failure.map_or(Outcome::Filtered, Outcome::Failed),
            changes: input.changes,
        };
        let mut done: Vec<_> = self.inputs.into_iter().map(fate).collect();
        for (Envelope { message, .. }, owner) in self.parts.into_iter().zip(self.owners) {
            match done.get_mut(owner).map(|done| &mut done.outcome) {
                Some(Outcome::Outputs(outputs)) => outputs.push(message),
                Some(outcome) => *outcome = Outcome::Outputs(vec![message]),
                None => {}
            }
        }
        done
    }
}

// === impl Input ===

impl Input {
    fn grow(&mut self, stage: &str, weight: usize) -> bool {
        self.parts += 1;
        self.bytes = self.bytes.saturating_add(weight);
        if self.parts > MAX_PARTS {
            self.failure =
                Some(invalid(stage, &format!("made more than {MAX_PARTS} messages of one, together with others")));
        } else if self.parts > 1 && self.bytes > MAX_PART_BYTES {
            self.failure = Some(invalid(stage, &format!("made more than {MAX_PART_BYTES} bytes of one message")));
        }
        self.failure.is_none()
    }
}

fn invalid(stage: &str, detail: &str) -> Failure {
    Failure { plugin: stage.to_owned(), kind: FailureKind::Invalid, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::fixtures::{envelope, failure, message, stage};

    fn run(stages: Vec<Box<dyn Stage>>, inputs: &[&str]) -> Vec<Outcome> {
        let done = Chain::new(stages).run(inputs.iter().map(|payload| envelope(payload)).collect());
        done.into_iter().map(|done| done.outcome).collect()
    }

    fn outputs(payloads: &[&str]) -> Outcome {
        Outcome::Outputs(payloads.iter().map(|payload| message(payload)).collect())
    }

    fn append(suffix: &'static str) -> Box<dyn Stage> {
        stage(move |payload| Ok(Verdict::Replace(format!("{payload}{suffix}").into())))
    }

    fn twice() -> Box<dyn Stage> {
        stage(|payload| Ok(Verdict::Emit(vec![message(&format!("{payload}1")), message(&format!("{payload}2"))])))
    }

    fn fails_on(bad: &'static str) -> Box<dyn Stage> {
        stage(move |payload| if payload == bad { Err(failure("stage")) } else { Ok(Verdict::Forward) })
    }

    #[test]
    fn a_chain_without_stages_gives_each_message_back() {
        assert_eq!(run(vec![], &["a", "b"]), [outputs(&["a"]), outputs(&["b"])]);
        assert_eq!(run(vec![], &[]), []);
    }

    #[test]
    fn stages_apply_in_their_order() {
        assert_eq!(run(vec![append("x"), append("y")], &["a"]), [outputs(&["axy"])]);
    }

    #[test]
    fn one_message_becomes_many_and_each_goes_on() {
        assert_eq!(run(vec![twice(), twice(), append("!")], &["a"]), [outputs(&["a11!", "a12!", "a21!", "a22!"])]);
    }

    #[test]
    fn what_a_stage_drops_the_next_does_not_see() {
        let drop_a = stage(|payload| Ok(if payload == "a" { Verdict::Drop } else { Verdict::Forward }));
        let never_a = fails_on("a");
        assert_eq!(run(vec![drop_a, never_a], &["a", "b"]), [Outcome::Filtered, outputs(&["b"])]);
        let empty = stage(|_| Ok(Verdict::Emit(vec![])));
        assert_eq!(run(vec![empty], &["a"]), [Outcome::Filtered]);
    }

    #[test]
    fn a_failure_in_any_part_fails_its_input_and_no_other() {
        for bad in ["b1", "b2"] {
            let outcomes = run(vec![twice(), fails_on(bad), append("!")], &["a", "b", "c"]);
            let failed = Outcome::Failed(failure("stage"));
            assert_eq!(outcomes, [outputs(&["a1!", "a2!"]), failed, outputs(&["c1!", "c2!"])]);
        }
    }

    #[test]
    fn plugins_that_multiply_each_other_meet_a_limit_that_only_their_input_feels() {
        let tenfold = || stage(|p| Ok(Verdict::Emit(if p == "b" { vec![message(p)] } else { vec![message(p); 10] })));
        let outcomes = run(vec![tenfold(), tenfold(), tenfold(), tenfold()], &["a", "b"]);
        assert!(matches!(&outcomes[0], Outcome::Failed(failure) if failure.kind == FailureKind::Invalid));
        assert_eq!(outcomes[1], outputs(&["b"]));
    }

    #[test]
    fn one_large_message_passes_where_many_would_not() {
        let large = "x".repeat(MAX_PART_BYTES + 1);
        assert_eq!(run(vec![append("")], &[&large]), [outputs(&[&large])]);
        let outcomes = run(vec![twice()], &[&large]);
        assert!(matches!(&outcomes[0], Outcome::Failed(_)));
    }

    #[test]
    fn a_stage_that_leaves_messages_out_fails_those() {
        struct Mute;
        impl Stage for Mute {
            fn name(&self) -> &str {
                "mute"
            }
            fn process(&mut self, _: &[Envelope]) -> Vec<Result<Verdict, Failure>> {
                vec![Ok(Verdict::Forward)]
            }
        }
        let outcomes = run(vec![Box::new(Mute)], &["a", "b"]);
        assert_eq!(outcomes[0], outputs(&["a"]));
        assert!(matches!(&outcomes[1], Outcome::Failed(failure) if failure.plugin == "mute"));
    }
}
