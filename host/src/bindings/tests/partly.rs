//! An input of which a part has no room in a record: it is taken over whole or not at all.

use super::*;
use crate::config::{Destination, Target, UpstreamId};
use crate::dead_letter::DEAD_LETTERS;
use crate::spool::log::sim::SimDisk;
use crate::spool::{Change, Key, Position, Record, Source, Value};
use crate::topic::Template;

/// Of a topic that fills a segment with seventeen others.
const LONG: usize = 60_000;

struct Gateway {
    disk: SimDisk,
    fixture: Fixture,
    spool: Spool,
    acks: Resolved,
    state: Vec<(Key, Value)>,
}

fn to(target: Target, topic: String) -> Destination {
    Destination { target, topic: Template::parse(&topic).unwrap(), qos: None, retain: None }
}

fn cloud() -> Target {
    Target::Upstream(UpstreamId(0))
}

/// More than a record has room for, of any message.
fn too_much() -> Vec<Destination> {
    (0..20).map(|number| to(cloud(), format!("{number}{}", "x".repeat(LONG)))).collect()
}

fn binding(filter: &str, on_error: OnError, to: Vec<Destination>, lane: Option<crate::chain::Lane>) -> Binding {
    Binding::new(config::Binding { plugins: vec![], tick: None, on_error, to, ..spec(filter) }, lane)
}

/// What is safe in `first` is republished, and has no room in `second`.
fn stages(on_error: OnError, lane: Option<crate::chain::Lane>) -> Vec<Binding> {
    let first = vec![to(cloud(), "{topic}".into()), to(Target::Local, "second".into())];
    vec![binding("first", OnError::Drop, first, None), binding("second", on_error, too_much(), lane)]
}

fn dead_letters() -> OnError {
    OnError::DeadLetter { topic: Template::parse("dead").unwrap() }
}

fn identity() -> Key {
    Key::Qos2 { source: Source::Devices, client: "gw".into(), packet_id: 7 }
}

// === impl Gateway ===

impl Gateway {
    fn open(disk: SimDisk, bindings: Vec<Binding>, workers: Workers) -> Self {
        let counters = Arc::<Counters>::default();
        let small = config::Spool { max_bytes: 4 << 20, free_floor: 0, ..config::Spool::default() };
        let names = ["cloud", DEAD_LETTERS];
        let (spool, restored) = Spool::manually_driven(disk.clone(), &names, &small, counters.clone()).unwrap();
        let fixture = fixture_with(workers, bindings, spool.clone(), counters);
        Self { disk, fixture, spool, acks: Resolved::default(), state: restored.state }
    }

    fn new(bindings: Vec<Binding>) -> Self {
        Self::open(SimDisk::default(), bindings, Workers::start(1, vec![]).unwrap().0)
    }

    /// A QoS 2 message of a session that survives a restart.
    fn send(&self, topic: &str) {
        let message = Message::new(TopicName::parse(topic).unwrap(), "x", QoS::ExactlyOnce);
        let (origin, receipt) = (Arc::new(Origin::gateway(0)), Receipt::new(1, self.acks.clone()));
        let changes = vec![Change::put(identity(), "generation")];
        let inbound = Inbound { receipt, changes, ..Inbound::internal(message, origin) };
        let pending = self.fixture.dispatcher.arrive(inbound).unwrap();
        self.fixture.dispatcher.try_start(pending).unwrap();
    }

    /// The ack, and whether it is a refusal.
    fn answer(&self) -> Option<bool> {
        let ticket = self.acks.try_next()?;
        Some(self.acks.take_refused(ticket))
    }

    fn line(&self, line: usize) -> usize {
        self.spool.queue(UpstreamId(line)).read(Position::START, 99, usize::MAX).len()
    }

    /// Killed, and started again.
    fn restart(self, bindings: Vec<Binding>) -> Self {
        let Self { disk, fixture, spool, .. } = self;
        drop((fixture, spool));
        disk.kill();
        let again = Self::open(disk, bindings, Workers::start(1, vec![]).unwrap().0);
        again.fixture.dispatcher.restore(&again.state);
        again
    }

    fn keys(&self) -> Vec<&Key> {
        self.state.iter().map(|(key, _)| key).collect()
    }

    fn assert_accounts(&self) {
        let counters = &self.fixture.counters;
        assert_eq!(counters.balance(self.spool.waiting()).missing(), 0);
        assert_eq!(counters.totals().acknowledged_lost, 0);
    }
}

#[tokio::test]
async fn a_part_that_has_no_room_fails_alone_when_an_earlier_one_is_safe() {
    for (on_error, letters) in [(OnError::Drop, 0), (dead_letters(), 1)] {
        let gateway = Gateway::new(stages(on_error.clone(), None));
        gateway.send("first");
        assert_eq!(gateway.answer(), Some(false), "its device is not told to send it again");
        assert_eq!((gateway.line(0), gateway.line(1)), (1, letters));
        assert_eq!(gateway.fixture.counters.totals().failed_dropped, 1 - letters as u64);
        gateway.assert_accounts();
        let gateway = gateway.restart(stages(on_error, None));
        assert_eq!(gateway.keys(), [&identity()], "nothing of it is unfinished");
        assert_eq!((gateway.line(0), gateway.line(1)), (1, letters));
    }
}

#[tokio::test]
async fn a_process_that_dies_before_the_later_part_comes_to_the_same_end() {
    let (go, gate) = mpsc::channel::<()>();
    let slow = stage(move |_| {
        let _ = gate.recv();
        Ok(Verdict::Forward)
    });
    let (workers, mut lanes) = Workers::start(1, vec![Chain::new(vec![slow])]).unwrap();
    let gateway = Gateway::open(SimDisk::default(), stages(dead_letters(), lanes.pop()), workers);
    gateway.send("first");
    assert_eq!((gateway.answer(), gateway.line(0)), (None, 1), "the first part is safe, the second is in its chain");
    // Its plugin runs until the end of this test: what the old process still does reaches no disk before then.
    let gateway = gateway.restart(stages(dead_letters(), None));
    assert_eq!(gateway.state.len(), 2, "its identity, and what is unfinished");
    assert_eq!((gateway.line(0), gateway.line(1)), (1, 1));
    assert_eq!(gateway.fixture.counters.totals().acknowledged_lost, 0);
    let gateway = gateway.restart(stages(dead_letters(), None));
    assert_eq!(gateway.keys(), [&identity()]);
    assert_eq!((gateway.line(0), gateway.line(1)), (1, 1));
    drop(go);
}

#[tokio::test]
async fn of_an_input_that_is_refused_nothing_is_republished() {
    let destinations = too_much().into_iter().chain([to(Target::Local, "second".into())]).collect();
    let heard = vec![to(cloud(), "heard".into())];
    let bindings = || vec![binding("second", OnError::Drop, heard.clone(), None)];
    let first = binding("first", OnError::Drop, destinations, None);
    let gateway = Gateway::new(bindings().into_iter().chain([first]).collect());
    gateway.send("first");
    assert_eq!(gateway.answer(), Some(true), "its device is told");
    assert_eq!((gateway.line(0), gateway.fixture.counters.internal.get()), (0, 0));
    gateway.assert_accounts();
    assert!(gateway.restart(bindings()).keys().is_empty());
}

/// What was written down by a process that made records which do not fit.
#[tokio::test]
async fn what_ends_something_unfinished_is_never_refused() {
    let gateway = Gateway::new(vec![]);
    let unfinished = || Key::Unfinished { client: "gw".into(), number: 1 };
    gateway.spool.commit(Record::changes(vec![Change::put(unfinished(), "m")], Receipt::none()));
    let message = Message::new(TopicName::parse("t").unwrap(), vec![0; 2 << 20], QoS::ExactlyOnce);
    let output = crate::spool::Output { upstream: UpstreamId(0), binding: None, message, arrived: Instant::now() };
    let receipt = Receipt::new(1, gateway.acks.clone());
    let record = Record { outputs: vec![output], ..Record::changes(vec![Change::delete(unfinished())], receipt) };
    gateway.spool.commit(record);
    assert_eq!(gateway.answer(), Some(false));
    assert_eq!(gateway.fixture.counters.totals().acknowledged_lost, 1, "and it is said");
    assert!(gateway.restart(vec![]).keys().is_empty());
}
