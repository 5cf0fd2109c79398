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
fn process<G: Guest + 'static>(stage: &mut PluginStage<G>, batch: &[Envelope]) -> Vec<Result<Verdict, Box<Failure>>> {
    stage.process(batch, Instant::now() + Duration::from_secs(3_600))
}

impl Bench {
    /// What became of each: a number as the instance counted, or the kind of failure.
    fn send(&mut self, payloads: &[&str]) -> Vec<String> {
        let batch: Vec<_> = payloads.iter().map(|payload| envelope(payload)).collect();
        let tell = |answer: Result<Verdict, Box<Failure>>| match answer {
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
    assert_eq!((bench.stage.stats.calls.count(), bench.stage.stats.messages.get()), (3, 7));
}

#[test]
fn a_delete_goes_past_a_plugin_that_has_not_asked_for_it_also_when_that_is_broken() {
    let delete = || {
        let envelope = envelope("");
        Envelope { message: Message { retain: true, ..envelope.message }, ..envelope }
    };
    let batch = || [delete(), envelope("x"), envelope("trap"), envelope("trap"), delete(), envelope("x"), envelope("")];
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
        let failures: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(|failure| failure.kind)).collect();
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
