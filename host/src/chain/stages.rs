//! A chain: the stages of one binding, and the fold of messages through them.
//!
//! All messages of a turn go through the first stage, what they became through the second, and so on: each stage sees as
//! many messages at once as there are. An input's parts share its fate: when a plugin fails one of them, the input failed,
//! because half of what a device said is not something that anybody asked for. Its other parts go no further.

use std::time::Duration;

use crate::base::clock;
use crate::base::kill_point::{self, KillPoint};
use crate::config::{FaultPolicy, Retry};
use crate::plugin::{Envelope, LoadedPlugin, StateStore};

use super::flow::Flow;
use super::late::{Meanwhile, Standing};
use super::outcome::{Done, TickResult};
use super::redacts::Redacts;
use super::stage::Stage;
use super::starter::Starter;
use super::stateful_stage::{StatefulStage, Unfit};

/// How long a turn may go on before other lanes have theirs: a thread is held for this and one call more. Some thousand
/// messages of an ordinary plugin, a tenth of the default deadline.
pub const TURN: Duration = Duration::from_millis(10);

pub struct Chain {
    stages: Vec<StatefulStage>,
    retry: Retry,
    /// Whether it has a plugin that must not be left out.
    redacts: Redacts,
    /// Until its plugins have started.
    late: Option<Late>,
}

struct Late {
    standing: Standing,
    stores: Vec<StateStore>,
}

/// What a chain is started with, beside its plugins.
#[derive(Clone, Default)]
pub struct Means {
    /// What the plugins remember already, where that is known before they are.
    pub stores: Vec<StateStore>,
    /// For restarts that take long. Without it they are made where they are needed.
    pub starter: Option<Starter>,
}

#[derive(Debug, thiserror::Error)]
#[error("binding `{binding}`: plugin `{plugin}` {reason}")]
pub struct ChainError {
    pub binding: String,
    pub plugin: String,
    pub reason: Unfit,
}

/// Where a turn left its messages.
pub enum Progress {
    /// One outcome for each input, in order.
    Done(Vec<Done>),
    /// To be taken up after so long, which may be at once.
    Paused(Flow, Duration),
}

// === impl Chain ===

impl Chain {
    /// With no stages it is the identity.
    pub fn new(stages: Vec<Box<dyn Stage>>) -> Self {
        Self::of_stages(stages.into_iter().map(StatefulStage::new).collect(), Retry::default())
    }

    #[cfg(test)]
    pub(super) fn of(stages: Vec<StatefulStage>) -> Self {
        Self::of_stages(stages, Retry::default())
    }

    fn of_stages(mut stages: Vec<StatefulStage>, retry: Retry) -> Self {
        let redacts = Redacts::of(StatefulStage::find_redaction(&mut stages));
        Self { stages, retry, redacts, late: None }
    }

    /// One whose plugins start elsewhere, and then remember in these stores.
    pub fn late(standing: Standing, stores: Vec<StateStore>) -> Self {
        Self { redacts: standing.redacts().clone(), late: Some(Late { standing, stores }), ..Self::new(Vec::new()) }
    }

    /// Of stages that are no plugins, with the retries of a binding.
    #[cfg(test)]
    pub(crate) fn native(stages: Vec<Box<dyn Stage>>, retry: Retry) -> Self {
        Self { retry, ..Self::new(stages) }
    }

    /// Starts an instance of each plugin, so that a configuration which a plugin does not accept is known now.
    pub fn load(binding: &str, plugins: &[LoadedPlugin], faults: &FaultPolicy) -> Result<Self, ChainError> {
        Self::load_with(binding, plugins, faults, &Means::default())
    }

    pub fn load_with(
        binding: &str,
        plugins: &[LoadedPlugin],
        faults: &FaultPolicy,
        means: &Means,
    ) -> Result<Self, ChainError> {
        let stage = |(index, plugin): (usize, &LoadedPlugin)| {
            let policy = faults.on_failure.get(index).copied();
            StatefulStage::load(binding, plugin, faults, policy, means).map_err(|reason| ChainError {
                binding: binding.to_owned(),
                plugin: plugin.name().to_owned(),
                reason,
            })
        };
        let stages = plugins.iter().enumerate().map(stage).collect::<Result<_, _>>()?;
        Ok(Self::of_stages(stages, faults.retry))
    }

    /// What its plugins remember: one store for each that does.
    pub fn stores(&self) -> impl Iterator<Item = &StateStore> {
        let late = self.late.iter().flat_map(|late| &late.stores);
        self.stages.iter().map(StatefulStage::store).chain(late).filter(|store| store.is_stateful())
    }

    /// See [`Redacts`].
    pub(super) fn redacts(&self) -> &Redacts {
        &self.redacts
    }

    /// One turn of a flow. At each stage first what came this far, then what the clock makes there.
    pub fn go(&mut self, mut flow: Flow) -> Progress {
        if let Some(late) = &self.late {
            match late.standing.ask() {
                Meanwhile::Go(chain) => *self = *chain,
                Meanwhile::Wait(wait) => return Progress::Paused(flow, wait),
                Meanwhile::Fail(failure) => return Progress::Done(flow.fail(&failure)),
            }
        }
        let until = clock::now() + TURN;
        while let Some(stage) = self.stages.get_mut(flow.stage).filter(|_| flow.goes_on()) {
            if let Some(wait) = stage.wait() {
                return Progress::Paused(flow, wait);
            }
            let wait = flow.ask(stage, &self.retry, until);
            kill_point::reach(KillPoint::InPlugin);
            if let Some(wait) = wait {
                return Progress::Paused(flow, wait);
            }
            flow.advance(stage);
            flow.run_tick(stage);
        }
        Progress::Done(flow.finish())
    }

    /// All turns of a flow at once: for rehearsals, which have one thread and no time.
    pub fn run(&mut self, inputs: Vec<Envelope>) -> Vec<Done> {
        self.finish(Flow::new(inputs))
    }

    /// The same for the clock.
    pub fn tick(&mut self, now_ms: u64) -> TickResult {
        self.finish(Flow::of_clock(now_ms)).into_iter().collect()
    }

    fn finish(&mut self, mut flow: Flow) -> Vec<Done> {
        loop {
            match self.go(flow) {
                Progress::Done(done) => return done,
                Progress::Paused(paused, _) => flow = paused,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::fixtures::{envelope, failure, message, stage};
    use crate::chain::flow::MAX_PART_BYTES;
    use crate::chain::{Failure, Outcome};
    use crate::config::OnFailure;
    use crate::plugin::{FailureKind, Verdict};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use std::time::Instant;

    fn run(stages: Vec<Box<dyn Stage>>, inputs: &[&str]) -> Vec<Outcome> {
        outcomes(Chain::new(stages).run(inputs.iter().map(|payload| envelope(payload)).collect()))
    }

    fn outcomes(done: Vec<Done>) -> Vec<Outcome> {
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
        stage(move |payload| if payload == bad { Err(failure("stage").into()) } else { Ok(Verdict::Forward) })
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
            let failed = Outcome::Failed(failure("stage").into());
            assert_eq!(outcomes, [outputs(&["a1!", "a2!"]), failed, outputs(&["c1!", "c2!"])]);
        }
    }

    /// Left out when it fails.
    fn passing(stage: Box<dyn Stage>) -> StatefulStage {
        StatefulStage::with_policy(stage, OnFailure::Pass)
    }

    #[test]
    fn a_plugin_that_is_left_out_undoes_nothing_that_those_before_it_did() {
        let redact = || StatefulStage::new(stage(|payload| Ok(Verdict::Replace(payload.replace("secret", "").into()))));
        let mut chain = Chain::of(vec![redact(), passing(fails_on("b")), StatefulStage::new(append("!"))]);
        let done = chain.run(["secreta", "secretb"].map(envelope).to_vec());
        assert_eq!(done[0], Done::of(outputs(&["a!"])));
        assert_eq!(done[1], Done { skipped: Some(failure("stage").into()), ..Done::of(outputs(&["b!"])) });
    }

    #[test]
    fn of_several_parts_only_those_go_around_a_plugin_that_it_fails() {
        let mark = stage(|payload| match payload {
            "a2" => Err(failure("stage").into()),
            other => Ok(Verdict::Replace(format!("{other}?").into())),
        });
        let mut chain = Chain::of(vec![StatefulStage::new(twice()), passing(mark)]);
        assert_eq!(outcomes(chain.run(vec![envelope("a")])), [outputs(&["a1?", "a2"])]);
    }

    #[test]
    fn what_a_later_plugin_makes_of_it_counts_when_an_earlier_one_was_left_out() {
        let kept = StatefulStage::with_policy(fails_on("a"), OnFailure::Drop);
        let mut chain = Chain::of(vec![passing(fails_on("a")), kept]);
        let done = chain.run(vec![envelope("a")]).remove(0);
        let then = Some(OnFailure::Drop);
        assert_eq!(done.outcome, Outcome::Failed(Failure { then, ..failure("stage") }.into()));
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
            fn process(&mut self, batch: &[Envelope], _: Instant) -> Vec<Result<Verdict, Box<Failure>>> {
                let first = batch.len() == 2;
                if first { vec![Ok(Verdict::Forward)] } else { vec![] }
            }
        }
        let outcomes = run(vec![Box::new(Mute)], &["a", "b"]);
        assert_eq!(outcomes[0], outputs(&["a"]));
        assert!(matches!(&outcomes[1], Outcome::Failed(failure) if failure.plugin == "mute"));
    }

    /// Says "not now" the first `times`.
    fn moody(times: u32) -> (Box<dyn Stage>, Arc<AtomicU32>) {
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let kind = FailureKind::Refused { transient: true };
        let stage = stage(move |payload| match payload {
            "moody" if counted.fetch_add(1, SeqCst) < times => Err(Failure { kind, ..failure("stage") }.into()),
            _ => Ok(Verdict::Forward),
        });
        (stage, asked)
    }

    fn waits(mut chain: Chain, inputs: &[&str]) -> (Vec<Duration>, Vec<Outcome>) {
        let mut flow = Flow::new(inputs.iter().map(|payload| envelope(payload)).collect());
        let mut waits = Vec::new();
        loop {
            match chain.go(flow) {
                Progress::Done(done) => return (waits, outcomes(done)),
                Progress::Paused(paused, wait) => (flow, _) = (paused, waits.push(wait)),
            }
        }
    }

    fn chain(attempts: u32, stages: Vec<Box<dyn Stage>>) -> Chain {
        Chain::native(stages, Retry { attempts, backoff: Duration::from_secs(1) })
    }

    #[test]
    fn what_a_plugin_cannot_handle_now_is_asked_about_again_with_growing_distance_and_keeps_its_place() {
        let (stage, asked) = moody(3);
        let (waits, outcomes) = waits(chain(4, vec![append("!"), strip(), stage, append("?")]), &["a", "moody", "b"]);
        assert_eq!(waits, [1, 2, 4].map(Duration::from_secs));
        assert_eq!(outcomes, [outputs(&["a?"]), outputs(&["moody?"]), outputs(&["b?"])]);
        assert_eq!(asked.load(SeqCst), 4);
    }

    fn strip() -> Box<dyn Stage> {
        stage(|payload| Ok(Verdict::Replace(payload.trim_end_matches('!').to_owned().into())))
    }

    #[test]
    fn after_the_last_attempt_it_failed_and_the_failure_says_how_often_it_was_tried() {
        let (stage, asked) = moody(100);
        let (waits, outcomes) = waits(chain(3, vec![stage]), &["moody", "a"]);
        assert_eq!((waits.len(), asked.load(SeqCst)), (2, 3));
        assert!(matches!(&outcomes[0], Outcome::Failed(failure) if failure.attempts == 3), "{outcomes:?}");
        assert_eq!(outcomes[1], outputs(&["a"]));
        let (waits, outcomes) = self::waits(chain(1, vec![moody(1).0]), &["moody"]);
        assert!(waits.is_empty() && matches!(&outcomes[0], Outcome::Failed(failure) if failure.attempts == 1));
    }

    /// Answers for one message at a time, and says that it took all the time there is.
    struct Slow(usize);

    impl Stage for Slow {
        fn name(&self) -> &str {
            "slow"
        }
        fn process(&mut self, _: &[Envelope], until: Instant) -> Vec<Result<Verdict, Box<Failure>>> {
            self.0 += 1;
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            vec![Ok(Verdict::Replace(self.0.to_string().into()))]
        }
    }

    #[test]
    fn a_turn_that_has_used_up_its_time_goes_on_later_where_it_was() {
        let (waits, outcomes) = waits(chain(1, vec![Box::new(Slow(0)), append("!")]), &["a", "b", "c"]);
        assert_eq!(waits, [Duration::ZERO; 2]);
        assert_eq!(outcomes, [outputs(&["1!"]), outputs(&["2!"]), outputs(&["3!"])]);
    }
}
