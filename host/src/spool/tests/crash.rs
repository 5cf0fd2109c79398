//! The model: random work, crashes at random calls of the disk, and what must be there afterwards.
//!
//! The oracle is outside: it knows what was resolved, and nothing else is promised. What was not resolved may be there, whole,
//! or not at all.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::log::sim::Fault;
use super::*;

#[derive(Clone, Debug)]
enum Act {
    /// Outputs, each of QoS 1 or 2, and a key that is put or deleted.
    Commit {
        outputs: Vec<(usize, bool)>,
        key: u64,
        put: bool,
    },
    Complete {
        upstream: usize,
        nth: usize,
    },
    Release {
        upstream: usize,
        nth: usize,
    },
    Crash {
        after_calls: u64,
        power_cut: Option<u64>,
    },
}

/// What the outside knows. A record is named by its ticket: in its payloads, in the value of its key, and by a key of its own.
#[derive(Default)]
struct Oracle {
    records: BTreeMap<u64, Committed>,
    acked: BTreeSet<u64>,
    /// Payloads, by upstream.
    completed: BTreeSet<(usize, String)>,
    confirmed: BTreeSet<(usize, u64)>,
    released: BTreeSet<(usize, u64)>,
    next: u64,
    power_cut: Option<u64>,
    /// Bytes of each payload, beside its name.
    pad: usize,
    /// Bytes of each value of the state, beside its ticket.
    state_pad: usize,
    /// Whether the policy may take what it likes, from the oldest on.
    may_drop: bool,
}

#[derive(Clone)]
struct Committed {
    outputs: Vec<(usize, bool)>,
    key: u64,
    put: bool,
}

fn payload(ticket: u64, index: usize, pad: usize) -> String {
    format!("{ticket}.{index} {:pad$}", "")
}

fn mark(ticket: u64) -> Key {
    Key::Queued { client: "ticket".into(), number: ticket }
}

fn text(entry: &Entry) -> String {
    String::from_utf8(entry.message.payload.to_vec()).unwrap()
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let outputs = prop::collection::vec((0..2_usize, any::<bool>()), 0..4);
    let act = prop_oneof![
        6 => (outputs, 0..5_u64, any::<bool>()).prop_map(|(outputs, key, put)| Act::Commit { outputs, key, put }),
        4 => (0..2_usize, 0..3_usize).prop_map(|(upstream, nth)| Act::Complete { upstream, nth }),
        2 => (0..2_usize, 0..3_usize).prop_map(|(upstream, nth)| Act::Release { upstream, nth }),
        1 => (1..40_u64, prop::option::of(any::<u64>()))
            .prop_map(|(after_calls, power_cut)| Act::Crash { after_calls, power_cut }),
    ];
    prop::collection::vec(act, 1..80)
}

/// Mostly state: segments come and go, and with them checkpoints.
fn state_acts() -> impl Strategy<Value = Vec<Act>> {
    let outputs = prop::collection::vec((0..2_usize, any::<bool>()), 0..2);
    let act = prop_oneof![
        12 => (outputs, 0..40_u64, any::<bool>()).prop_map(|(outputs, key, put)| Act::Commit { outputs, key, put }),
        6 => (0..2_usize).prop_map(|upstream| Act::Complete { upstream, nth: 0 }),
        1 => (0..2_usize).prop_map(|upstream| Act::Release { upstream, nth: 0 }),
        1 => (1..120_u64, prop::option::of(any::<u64>()))
            .prop_map(|(after_calls, power_cut)| Act::Crash { after_calls, power_cut }),
    ];
    prop::collection::vec(act, 100..300)
}

/// More than goes into the log, and one upstream that is mostly away.
fn full_acts() -> impl Strategy<Value = Vec<Act>> {
    let outputs = prop::collection::vec((0..2_usize, any::<bool>()), 1..4);
    let act = prop_oneof![
        12 => (outputs, 0..5_u64, any::<bool>()).prop_map(|(outputs, key, put)| Act::Commit { outputs, key, put }),
        1 => (0..3_usize).prop_map(|nth| Act::Complete { upstream: 0, nth }),
        12 => Just(Act::Complete { upstream: 1, nth: 0 }),
        1 => (1..200_u64, prop::option::of(any::<u64>()))
            .prop_map(|(after_calls, power_cut)| Act::Crash { after_calls, power_cut }),
    ];
    prop::collection::vec(act, 150..400)
}

// === impl Oracle ===

impl Oracle {
    fn value(&self, ticket: u64) -> String {
        format!("{ticket} {:pad$}", "", pad = self.state_pad)
    }

    fn act(&mut self, bench: &mut Bench, act: &Act) {
        match act {
            Act::Commit { outputs, key: number, put } => {
                self.next += 1;
                let ticket = self.next;
                self.records.insert(ticket, Committed { outputs: outputs.clone(), key: *number, put: *put });
                let texts: Vec<String> = (0..outputs.len()).map(|index| payload(ticket, index, self.pad)).collect();
                let outputs = outputs.iter().zip(&texts);
                let outputs: Vec<_> = outputs
                    .map(|((upstream, twice), text)| (*upstream, if *twice { Q2 } else { Q1 }, &**text))
                    .collect();
                let change = match put {
                    true => Change::put(key(*number), self.value(ticket).into_bytes()),
                    false => Change::delete(key(*number)),
                };
                bench.commit_with(ticket, &outputs, vec![change, Change::put(mark(ticket), "")]);
            }
            Act::Complete { upstream, nth } => {
                let read = bench.spool.queue(UpstreamId(*upstream)).read(Position::START, nth + 1, ALL);
                let Some(entry) = read.into_iter().nth(*nth) else { return };
                self.completed.insert((*upstream, text(&entry)));
                bench.spool.queue(UpstreamId(*upstream)).complete(entry.position, Fate::Forwarded);
            }
            Act::Release { upstream, nth } => {
                let entries = bench.entries(*upstream).into_iter().filter(|entry| entry.message.qos == Q2);
                let Some(entry) = entries.into_iter().nth(*nth) else { return };
                bench.spool.queue(UpstreamId(*upstream)).mark(Mark { number: entry.position.number, value: self.next });
            }
            Act::Crash { after_calls, power_cut } => {
                self.power_cut = *power_cut;
                bench.disk.fail_at(*after_calls, Fault::Crash);
            }
        }
        self.hear(bench);
    }

    fn hear(&mut self, bench: &mut Bench) {
        self.acked.extend(bench.acks());
        for upstream in 0..2 {
            let confirmed = bench.spool.queue(UpstreamId(upstream)).take_confirmed();
            self.confirmed.extend(confirmed.done.numbers().map(|number| (upstream, number)));
            self.released.extend(confirmed.marked.into_iter().map(|number| (upstream, number)));
        }
    }

    /// The spool of the next process against what is known.
    fn judge(&mut self, bench: &Bench) {
        let survivors = self.judge_state(bench);
        self.records.retain(|ticket, _| survivors.contains(ticket));
        for upstream in 0..2 {
            self.judge_upstream(bench, upstream);
        }
    }

    /// Everything acknowledged has survived, and the state is what the survivors made of it.
    fn judge_state(&self, bench: &Bench) -> BTreeSet<u64> {
        let (mut survivors, mut state) = (BTreeSet::new(), BTreeMap::new());
        for (key, value) in &bench.restored.state {
            let Key::Queued { client, number } = key else { panic!("nobody put {key:?}") };
            if &**client == "ticket" {
                survivors.insert(*number);
            } else {
                state.insert(*number, String::from_utf8(value.to_vec()).unwrap());
            }
        }
        let lost: Vec<_> = self.acked.difference(&survivors).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let mut expected = BTreeMap::new();
        for ticket in &survivors {
            let record = &self.records[ticket];
            match record.put {
                true => expected.insert(record.key, self.value(*ticket)),
                false => expected.remove(&record.key),
            };
        }
        assert!(state == expected, "of {survivors:?}");
        survivors
    }

    /// All outputs of the survivors, in commit order, but for those that were completed.
    fn judge_upstream(&self, bench: &Bench, upstream: usize) {
        let entries = bench.entries(upstream);
        let found: Vec<String> = entries.iter().map(text).collect();
        let outputs = self.records.iter().flat_map(|(ticket, record)| {
            let numbered = record.outputs.iter().enumerate();
            numbered.filter(|(_, (one, _))| *one == upstream).map(|(index, _)| payload(*ticket, index, self.pad))
        });
        let is_left = |text: &String| found.contains(text) || !self.completed.contains(&(upstream, text.clone()));
        let expected: Vec<_> = outputs.filter(is_left).collect();
        if self.may_drop {
            let mut rest = expected.iter();
            assert!(found.iter().all(|text| rest.any(|one| one == text)), "in order, each once, nothing else");
        } else {
            assert!(found == expected, "of {} there are {}", expected.len(), found.len());
        }
        assert!(entries.windows(2).all(|pair| pair[0].position < pair[1].position));
        let recovered = bench.spool.queue(UpstreamId(upstream)).recovered().marks;
        for number in entries.iter().map(|entry| entry.position.number) {
            assert!(!self.confirmed.contains(&(upstream, number)), "{number} was done, durably");
            let must = self.released.contains(&(upstream, number));
            let is = recovered.iter().any(|one| one.number == number);
            assert!(is || !must, "{number} was received, durably, and would be published again");
        }
    }
}

fn crash_and_judge(oracle: &mut Oracle, bench: Bench) -> Bench {
    let power_cut = oracle.power_cut;
    let Bench { disk, config, names, spool, .. } = bench;
    drop(spool);
    match power_cut {
        Some(seed) => disk.power_cut(seed),
        None => disk.kill(),
    }
    let bench = Bench::open(disk, names, config).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(bench.restored.recovery.lost, 0, "no crash is damage");
    oracle.judge(&bench);
    bench.balance();
    bench
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_was_acknowledged_is_there_once_in_order_and_as_a_whole(acts in acts(), last: Option<u64>) {
        live(Oracle::default(), small(), &acts, last);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Several times what the log holds: it is compacted, held back by shares, and crashes in the middle of both.
    #[test]
    fn the_same_holds_in_a_log_that_is_full(acts in full_acts(), last: Option<u64>) {
        live(Oracle { pad: 30_000, ..Oracle::default() }, small(), &acts, last);
    }

    #[test]
    fn state_survives_a_crash_at_any_step_of_its_checkpoints(acts in state_acts(), last: Option<u64>) {
        live(Oracle { state_pad: 30_000, ..Oracle::default() }, small(), &acts, last);
    }

    #[test]
    fn what_is_left_of_a_log_that_drops_its_oldest_is_in_order_and_once(acts in full_acts(), last: Option<u64>) {
        let config = config::Spool { when_full: config::WhenFull::DropOldest, ..small() };
        live(Oracle { pad: 30_000, may_drop: true, ..Oracle::default() }, config, &acts, last);
    }
}

fn live(mut oracle: Oracle, config: config::Spool, acts: &[Act], last: Option<u64>) {
    let mut bench = Bench::open(SimDisk::default(), vec!["one", "two"], config).unwrap();
    // Marks belong to a state, which comes first.
    for upstream in 0..2 {
        let state = SinkState { bytes: "state".into(), under_way: 10 };
        assert_eq!(poll(bench.spool.queue(UpstreamId(upstream)).remember(&state, true)), Some(true));
    }
    for act in acts {
        oracle.act(&mut bench, act);
        if bench.is_dead() {
            bench = crash_and_judge(&mut oracle, bench);
        } else {
            bench.balance();
        }
    }
    bench.disk.no_fault();
    oracle.power_cut = last;
    crash_and_judge(&mut oracle, bench);
}

/// One poll: turned by hand, the spool has answered by then.
fn poll<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn a_process_that_dies_while_it_recovers_recovers_the_next_time() {
    for calls in 1..60 {
        let bench = Bench::new(1);
        (1..=5).for_each(|ticket| bench.commit(ticket, &[(0, Q2, &ticket.to_string())]));
        let Bench { disk, config, names, spool, .. } = bench;
        drop(spool);
        disk.kill();
        disk.fail_at(calls, Fault::Crash);
        let died = Bench::open(disk.clone(), names.clone(), config.clone()).is_err();
        disk.power_cut(calls);
        let bench = Bench::open(disk, names, config).unwrap();
        assert_eq!(bench.read(0), ["1", "2", "3", "4", "5"], "at call {calls}, died: {died}");
    }
}

#[test]
fn a_state_what_it_has_under_way_and_its_marks_are_found_by_the_next_process() {
    let bench = Bench::new(1);
    (1..=9).for_each(|ticket| bench.commit(ticket, &[(0, Q2, &ticket.to_string())]));
    let queue = bench.spool.queue(UpstreamId(0));
    assert_eq!(queue.recovered(), Recovered::default());
    let state = SinkState { bytes: "state".into(), under_way: 3 };
    assert_eq!(poll(queue.remember(&state, true)), Some(true));
    queue.mark(Mark { number: 3, value: 1 });
    queue.mark(Mark { number: 2, value: 2 });
    queue.complete(Position::of(1), Fate::Forwarded);
    drop(queue);
    let bench = bench.reopen();
    let queue = bench.spool.queue(UpstreamId(0));
    let [two, three] = [(2, 2), (3, 1)].map(|(number, value)| Mark { number, value });
    let expected = Recovered { state: Some(state.clone()), sent_below: 5, marks: vec![three, two] };
    assert_eq!(queue.recovered(), expected);
    queue.complete(Position::of(2), Fate::Forwarded);
    assert_eq!(poll(queue.remember(&SinkState { under_way: 5, ..state.clone() }, false)), Some(true));
    drop(queue);
    let bench = bench.reopen();
    let recovered = bench.spool.queue(UpstreamId(0)).recovered();
    assert_eq!((recovered.sent_below, recovered.marks), (8, vec![three]), "the same state, with more under way");
    assert_eq!(poll(bench.spool.queue(UpstreamId(0)).remember(&state, true)), Some(true));
    assert_eq!(bench.reopen().spool.queue(UpstreamId(0)).recovered().marks, [], "another state");
}

#[test]
fn message_expiry_goes_on_over_a_restart() {
    let bench = Bench::new(1);
    let arrived = Instant::now() - std::time::Duration::from_secs(100);
    let output = Output { upstream: UpstreamId(0), binding: None, message: message(Q1, "a"), arrived };
    bench.spool.commit(Record { outputs: vec![output], ..Record::default() });
    let held = bench.reopen().entries(0)[0].arrived.elapsed().as_secs();
    assert!((99..=160).contains(&held), "{held} s");
}
