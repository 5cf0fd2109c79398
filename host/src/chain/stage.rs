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
    Answer, CallResult, Envelope, FailureKind, Fault, Instance, LoadedPlugin, PluginStats, StartError, StateStore,
    Traits, Verdict,
};

use super::backoff::Backoff;
use super::batches::Batches;
use super::batching;
use super::breaker::{Admission, Source};
use super::deletes;
use super::guard::Guard;
use super::outcome::Failure;
use super::restart::{Elsewhere, Restart};
use super::starter::Starter;

/// Processor time. A plugin that breaks and needs more than this to start again is at fault itself, whosever message it was.
const LONG_START: Duration = Duration::from_millis(100);

/// One link of a chain. A plugin in service; in tests, a closure.
pub trait Stage: Send {
    /// Whose failures they are.
    fn name(&self) -> &str;

    /// Answers for messages from the front of `batch`, in order: for all of them or, when `until` passes first, for at least
    /// one. Called with at least one.
    fn process(&mut self, batch: &[Envelope], until: Instant) -> Vec<Result<Verdict, Failure>>;

    /// So many messages, which this stage could not handle for the time being, will be asked about again.
    fn try_again(&mut self, _messages: usize) {}

    /// A failure on this message, which this stage called transient, was tried again as often as the binding allows, and stays one.
    fn gave_up(&mut self, _on: &Envelope) {}

    /// It cannot be asked before so long: its instance is being started elsewhere.
    fn wait(&mut self) -> Option<Duration> {
        None
    }

    /// What time makes; none, when it exports no `timer`.
    fn tick(&mut self, now_ms: u64) -> Option<Result<Vec<Message>, Failure>> {
        let _ = now_ms;
        None
    }
}

/// What a stage needs of an instance. The outer error is the instance's end, an inner one concerns its message.
pub trait Guest: Send {
    fn is_batched(&self) -> bool;
    fn traits(&self) -> Traits;
    fn process_one(&mut self, envelope: &Envelope) -> Result<Answer, Fault>;
    /// At least one message, none with properties; one answer for each.
    fn process_batch(&mut self, batch: &[Envelope]) -> Result<Vec<Answer>, Fault>;
    /// Only asked of a plugin that exports `timer`.
    fn tick(&mut self, now_ms: u64) -> CallResult<Vec<Message>> {
        let _ = now_ms;
        Ok(Ok(Vec::new()))
    }
}

pub struct PluginStage<G = Instance> {
    name: String,
    restart: Restart<G>,
    guest: Option<G>,
    guard: Guard,
    backoff: Backoff,
    /// Why the last attempt to start failed.
    reason: String,
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

    fn supervise(
        name: String,
        guard: Guard,
        stats: Arc<PluginStats>,
        mut restart: Restart<G>,
    ) -> Result<Self, StartError> {
        let guest = restart.here()?;
        let traits = guest.traits();
        let (guest, backoff, reason, batches) = (Some(guest), Backoff::default(), String::new(), Batches::default());
        Ok(Self { name, restart, guest, guard, backoff, reason, batches, stats, has_timer: false, traits })
    }

    /// Answers for some of them, from the front. None at all: together they broke the instance, ask again.
    fn step(&mut self, waiting: &[Envelope]) -> Vec<Result<Verdict, Failure>> {
        if self.traits.takes_deletes {
            return self.ask(waiting);
        }
        match waiting.split_at(deletes::before_the_next(waiting)) {
            ([], [delete, ..]) => vec![Ok(deletes::pass_by(&delete.message))],
            (readings, _) => self.ask(readings),
        }
    }

    fn ask(&mut self, waiting: &[Envelope]) -> Vec<Result<Verdict, Failure>> {
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

    fn one(&mut self, envelope: &Envelope) -> Result<Verdict, Failure> {
        let answer = self.call(|guest| guest.process_one(envelope));
        if self.batches.alone(answer.is_err()) {
            tracing::error!(plugin = self.name, "its batches fail and their messages alone do not: no more batches");
        }
        let answer = answer.flatten();
        self.judge(answer, envelope)
    }

    fn many(&mut self, batch: &[Envelope]) -> Vec<Result<Verdict, Failure>> {
        match self.call(|guest| guest.process_batch(batch)) {
            Ok(answers) => answers.into_iter().zip(batch).map(|(answer, on)| self.judge(answer, on)).collect(),
            Err(fault) => {
                self.stats.batch_faults.increment();
                tracing::warn!(plugin = self.name, "a batch of {} is tried one by one: {fault}", batch.len());
                self.batches.broke(batch.len());
                Vec::new()
            }
        }
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut G) -> Result<R, Fault>) -> Result<R, Fault> {
        let guest = self.revive()?;
        let started = clock::now();
        let result = call(guest);
        self.stats.call(clock::since(started));
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
        if !self.backoff.allows(clock::now()) {
            return Err(Fault::new(FailureKind::Unavailable, &self.reason));
        }
        // What takes long is started elsewhere, before a call needs it.
        if self.restart.is_slow() {
            return Err(Fault::new(FailureKind::Unavailable, "it is being restarted"));
        }
        let answer = self.restart.here();
        self.restarted(answer)
    }

    fn restarted(&mut self, answer: Result<G, StartError>) -> Result<G, Fault> {
        match answer {
            Ok(guest) => {
                self.stats.restarts.increment();
                self.backoff.succeeded();
                Ok(guest)
            }
            Err(error) => {
                self.reason = error.to_string();
                let delay = self.backoff.failed(clock::now());
                tracing::error!(plugin = self.name, "cannot be restarted, next attempt in {delay:?}: {error}");
                Err(Fault::new(FailureKind::Unavailable, &self.reason))
            }
        }
    }

    /// An instance that has been started elsewhere arrives. A long start counts against the plugin: the breaker sees how near
    /// faults are to each other, and what takes long to start has few in any time.
    fn arrived(&mut self, answer: Result<G, StartError>, took: Duration) {
        let guest = self.restarted(answer);
        if took > LONG_START || guest.is_err() {
            let reason = format!("it broke, and needs {took:.1?} to start");
            self.guard.fault(guest.as_ref().err().map_or(reason, Fault::to_string), None);
        }
        self.guest = guest.ok();
    }

    fn judge(&mut self, answer: Answer, on: &Envelope) -> Result<Verdict, Failure> {
        self.learn(&answer, source(on));
        answer.map_err(|fault| self.failed(fault))
    }

    /// What an answer says about the plugin. A "not now" says nothing yet: it counts when it is given up.
    fn learn<T>(&mut self, answer: &Result<T, Fault>, by: Source) {
        match answer {
            Ok(_) | Err(Fault { kind: FailureKind::Refused { transient: false }, .. }) => self.guard.success(),
            Err(Fault { kind: FailureKind::Refused { transient: true }, .. }) => {}
            // No message was there when it did not start.
            Err(fault) if fault.kind == FailureKind::Unavailable => self.guard.fault(fault, None),
            Err(fault) => self.guard.fault(fault, by),
        }
    }

    fn failed(&self, fault: Fault) -> Failure {
        self.stats.fault(fault.kind);
        let attempts = u32::from(fault.kind != FailureKind::BreakerOpen);
        Failure { plugin: self.name.clone(), kind: fault.kind, detail: fault.detail, attempts, then: None }
    }

    /// How many messages cross together. Whether the plugin can is known of an instance; without one, one by one.
    fn together(&self, waiting: &[Envelope]) -> usize {
        match &self.guest {
            Some(guest) if guest.is_batched() && self.batches.are_good() => batching::together(waiting),
            _ => waiting.len().min(1),
        }
    }
}

impl<G: Guest + 'static> Stage for PluginStage<G> {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&mut self, batch: &[Envelope], until: Instant) -> Vec<Result<Verdict, Failure>> {
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
        // Nobody is asked behind an open breaker, and after a start that failed not for a while.
        if self.guest.is_some() || self.guard.is_open() || !self.backoff.allows(clock::now()) {
            return None;
        }
        match self.restart.elsewhere() {
            Elsewhere::No => None,
            Elsewhere::Wait(wait) => Some(wait),
            Elsewhere::Answer { answer, took, after } => {
                self.guard.time_passed(after);
                self.arrived(answer, took);
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
                let made = self.call(|guest| guest.tick(now_ms)).flatten();
                self.learn(&made, None);
                made
            }
        };
        Some(made.map_err(|fault| self.failed(fault)))
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

// === impl Guest ===

impl Guest for Instance {
    fn is_batched(&self) -> bool {
        self.is_batched()
    }

    fn traits(&self) -> Traits {
        self.traits()
    }

    fn process_one(&mut self, envelope: &Envelope) -> Result<Answer, Fault> {
        self.process_one(envelope)
    }

    fn process_batch(&mut self, batch: &[Envelope]) -> Result<Vec<Answer>, Fault> {
        self.process_batch(batch)
    }

    fn tick(&mut self, now_ms: u64) -> CallResult<Vec<Message>> {
        self.tick(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::StarterThreads;
    use crate::chain::fixtures::{envelope, envelope_of, payload};
    use crate::config::BreakerLimits;
    use crate::plugin::BreakerState;
    use std::sync::Mutex;
    use std::time::Duration;

    /// Answers with how many messages it has seen; breaks on "trap", refuses "refuse", and breaks on "together" in a batch only.
    struct Counting {
        traits: Traits,
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
        fn traits(&self) -> Traits {
            self.traits
        }
        fn process_one(&mut self, envelope: &Envelope) -> Result<Answer, Fault> {
            self.calls.lock().unwrap().push(1);
            self.answer(envelope)
        }
        fn process_batch(&mut self, batch: &[Envelope]) -> Result<Vec<Answer>, Fault> {
            self.calls.lock().unwrap().push(batch.len());
            if batch.iter().any(|envelope| payload(envelope) == "together") {
                return Err(Fault::new(FailureKind::Deadline, ""));
            }
            batch.iter().map(|envelope| self.answer(envelope)).collect()
        }
    }

    struct Bench {
        stage: PluginStage<Counting>,
        calls: Arc<Mutex<Vec<usize>>>,
    }

    /// The first `starts` instances start, later ones do not.
    fn bench(starts: usize) -> Bench {
        bench_with(starts, FaultPolicy::NONE.breaker)
    }

    fn bench_with(starts: usize, breaker: BreakerLimits) -> Bench {
        bench_of(starts, breaker, Traits::default())
    }

    fn bench_of(mut starts: usize, breaker: BreakerLimits, traits: Traits) -> Bench {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&calls);
        let start = move || {
            starts = starts.checked_sub(1).ok_or_else(|| StartError::Config("no more".into()))?;
            Ok(Counting { traits, seen: 0, calls: Arc::clone(&shared) })
        };
        let stats = Arc::<PluginStats>::default();
        let guard = Guard::new("p", "b", breaker, &stats);
        Bench {
            stage: PluginStage::supervise("p".into(), guard, stats, Restart::new(Box::new(start), None)).unwrap(),
            calls,
        }
    }

    /// With all the time there is.
    fn process<G: Guest + 'static>(stage: &mut PluginStage<G>, batch: &[Envelope]) -> Vec<Result<Verdict, Failure>> {
        stage.process(batch, Instant::now() + Duration::from_secs(3_600))
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
            process(&mut self.stage, &batch).into_iter().map(tell).collect()
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
    fn a_delete_goes_past_a_plugin_that_has_not_asked_for_it_also_when_that_is_broken() {
        let delete = || {
            let envelope = envelope("");
            Envelope { message: Message { retain: true, ..envelope.message }, ..envelope }
        };
        let batch =
            || [delete(), envelope("x"), envelope("trap"), envelope("trap"), delete(), envelope("x"), envelope("")];
        let mut bench = bench_with(2, breaker(1, Duration::from_secs(3_600)));
        let answers = process(&mut bench.stage, &batch());
        let kinds: Vec<_> = answers.iter().map(|answer| answer.as_ref().map_err(|failure| failure.kind)).collect();
        let (one, past) = (Verdict::Replace("1".into()), Ok(&Verdict::Forward));
        let (trapped, open) = (Err(FailureKind::Trapped), Err(FailureKind::BreakerOpen));
        assert_eq!(kinds, [past, Ok(&one), trapped, trapped, past, open, open]);

        let takes_deletes = Traits { takes_deletes: true, ..Traits::default() };
        let mut bench = bench_of(2, FaultPolicy::NONE.breaker, takes_deletes);
        let answers = process(&mut bench.stage, &[delete(), delete()]);
        assert_eq!(answers, [Ok(Verdict::Replace("1".into())), Ok(Verdict::Replace("2".into()))]);
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
    fn a_plugin_that_breaks_in_batches_only_is_counted_and_then_gets_none() {
        let mut bench = bench(9);
        for _ in 0..9 {
            assert!(bench.send(&["together"; 5]).iter().all(|answer| answer.parse::<u32>().is_ok()));
        }
        assert_eq!((bench.stage.stats.batch_faults.get(), bench.stage.stats.faults()), (3, 0));
        assert_eq!(bench.calls.lock().unwrap().iter().filter(|count| **count > 1).count(), 3);
    }

    #[test]
    fn a_plugin_that_cannot_be_restarted_fails_its_messages_with_the_reason() {
        let mut bench = bench(1);
        assert_eq!(bench.send(&["trap", "x", "x"]), ["Trapped", "Unavailable", "Unavailable"]);
        let failure = process(&mut bench.stage, &[envelope("x")]).remove(0).unwrap_err();
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
            let mut stage = PluginStage::start(&plugin, "b", &FaultPolicy::NONE, &StateStore::default(), None).unwrap();
            let batch = ["x", "x", vice, "x", "x"].map(envelope);
            let answers = process(&mut stage, &batch);
            let failures: Vec<_> =
                answers.iter().map(|answer| answer.as_ref().err().map(|failure| failure.kind)).collect();
            assert_eq!(failures, [None, None, Some(kind), None, None], "{vice}");
        }
        assert_eq!(plugin.stats().faults(), 4);
    }

    /// An hour is longer than this test, and nothing is no time at all.
    fn breaker(faults: usize, open_for: Duration) -> BreakerLimits {
        BreakerLimits { faults, within: Duration::from_secs(3_600), open_for }
    }

    #[test]
    fn a_plugin_that_only_traps_rests_and_its_messages_fail_at_once() {
        let mut bench = bench_with(9, breaker(2, Duration::from_secs(3_600)));
        assert_eq!(bench.send(&["trap", "x", "trap", "x"]), ["Trapped", "1", "Trapped", "BreakerOpen"]);
        let calls = bench.calls.lock().unwrap().len();
        assert_eq!(bench.send(&["x"; 9]), ["BreakerOpen"; 9]);
        assert_eq!(bench.calls.lock().unwrap().len(), calls, "it was not asked");
        assert_eq!(bench.stage.stats.breakers(), [("b".to_owned(), BreakerState::Open)]);
        assert_eq!(bench.stage.stats.breaker_open.get(), 10);
    }

    #[test]
    fn one_device_that_makes_the_plugin_trap_does_not_take_it_from_others() {
        let mut bench = bench_with(99, breaker(3, Duration::from_secs(3_600)));
        for _ in 0..20 {
            let answers = process(&mut bench.stage, &[envelope_of("bad", "trap"), envelope_of("good", "x")]);
            assert!(answers[0].is_err() && answers[1].is_ok(), "{answers:?}");
        }
        process(&mut bench.stage, &[envelope_of("second", "trap")]);
        assert_eq!(bench.send(&["x"]), ["BreakerOpen"], "two devices of three faults");
    }

    #[test]
    fn after_its_rest_one_message_decides_for_all() {
        let mut bench = bench_with(9, breaker(1, Duration::ZERO));
        assert_eq!(bench.send(&["trap", "trap", "x", "x", "x", "x", "x"])[..3], ["Trapped", "Trapped", "1"]);
        assert_eq!(bench.stage.stats.breakers(), [("b".to_owned(), BreakerState::Closed)]);
        // The seven broke the first instance together; each probe went alone, and what was left after the good one together.
        assert_eq!(*bench.calls.lock().unwrap(), [7, 1, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn a_refusal_is_the_messages_fault_and_a_not_now_only_counts_when_it_is_given_up() {
        let mut bench = bench_with(1, breaker(2, Duration::from_secs(3_600)));
        assert_eq!(bench.send(&["refuse", "refuse", "refuse", "x"]).pop().unwrap(), "4");
        bench.stage.gave_up(&envelope("x"));
        assert_eq!(bench.send(&["x"]), ["5"]);
        bench.stage.gave_up(&envelope("x"));
        assert_eq!(bench.send(&["x"]), ["BreakerOpen"]);
    }

    #[test]
    fn a_stage_that_is_out_of_time_answers_for_one_and_leaves_the_rest() {
        let mut bench = bench(9);
        let batch = ["x", "x", "trap", "x", "x"].map(envelope);
        let now = Instant::now();
        assert_eq!(bench.stage.process(&batch, now).len(), 1, "the batch traps, so one goes alone");
        assert_eq!(bench.stage.process(&batch[1..], now).len(), 1, "and the next one too");
        assert_eq!(*bench.calls.lock().unwrap(), [5, 1, 1]);
    }

    /// Uses so much of the processor.
    fn work(time: Duration) {
        let begun = clock::thread_cpu_time();
        while clock::thread_cpu_time().saturating_sub(begun) < time {
            std::hint::spin_loop();
        }
    }

    /// Each of its starts takes so long; how many were on this thread.
    fn slow(takes: Duration, breaker: BreakerLimits) -> (PluginStage<Counting>, Arc<Mutex<usize>>, StarterThreads) {
        let (threads, here) = (StarterThreads::spawn().unwrap(), Arc::<Mutex<usize>>::default());
        let (shared, this) = (Arc::clone(&here), std::thread::current().id());
        let start = move || {
            work(takes);
            *shared.lock().unwrap() += usize::from(std::thread::current().id() == this);
            Ok(Counting { traits: Traits::default(), seen: 0, calls: Arc::default() })
        };
        let stats = Arc::<PluginStats>::default();
        let (guard, restart) =
            (Guard::new("p", "b", breaker, &stats), Restart::new(Box::new(start), Some(threads.handle())));
        (PluginStage::supervise("p".into(), guard, stats, restart).unwrap(), here, threads)
    }

    fn wait_for(stage: &mut PluginStage<Counting>) {
        while stage.wait().is_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn one_that_is_slow_to_start_is_restarted_elsewhere_and_messages_wait_for_it() {
        let (mut stage, here, _threads) = slow(Duration::from_millis(10), FaultPolicy::NONE.breaker);
        let batch = ["x", "trap", "x"].map(envelope);
        let answers = process(&mut stage, &batch[..2]);
        assert!(answers[0].is_ok() && answers[1].is_err());
        assert!(process(&mut stage, &batch[2..]).is_empty(), "no answer, and no failure");
        wait_for(&mut stage);
        assert_eq!(process(&mut stage, &batch[2..]), [Ok(Verdict::Replace("1".into()))]);
        assert_eq!((*here.lock().unwrap(), stage.stats.restarts.get()), (1, 1), "only its first start");
    }

    #[test]
    fn long_restarts_open_the_breaker_although_one_device_is_behind_them() {
        let (long, within) = (LONG_START + Duration::from_millis(20), Duration::from_secs(3_600));
        let (mut stage, _here, _threads) = slow(long, BreakerLimits { faults: 4, within, open_for: within });
        for _ in 0..2 {
            wait_for(&mut stage);
            assert!(stage.guard.admit() != Admission::None);
            process(&mut stage, &[envelope_of("one", "trap")]);
        }
        wait_for(&mut stage);
        assert_eq!(stage.guard.admit(), Admission::None);
    }
}
