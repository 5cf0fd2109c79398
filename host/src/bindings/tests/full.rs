//! A full spool behind local stages: what was acknowledged arrives, and what has no room is not acknowledged.

use std::collections::BTreeSet;

use super::*;
use crate::config::{Destination, Target, UpstreamId};
use crate::spool::log::sim::SimDisk;
use crate::spool::{Fate, Position};
use crate::topic::Template;

const PAYLOAD: usize = 60_000;

/// More than the places of a binding, and many times the log.
const MESSAGES: u64 = 400;

fn destination(target: Target, topic: &str) -> Destination {
    Destination { target, topic: Template::parse(topic).unwrap(), qos: None, retain: None }
}

/// Without plugins.
fn stage_of(filter: &str, to: Vec<Destination>) -> Binding {
    Binding::new(config::Binding { plugins: vec![], tick: None, to, ..spec(filter) }, None)
}

/// `in` is republished so often, each time one level deeper; the last stage goes upstream.
fn stages(count: usize) -> Vec<Binding> {
    let filter = |stage: usize| format!("s{stage}/#");
    let local =
        |stage: usize| stage_of(&filter(stage), vec![destination(Target::Local, &format!("s{}/{{topic}}", stage + 1))]);
    let last = stage_of(&filter(count), vec![destination(Target::Upstream(UpstreamId(0)), "{topic}")]);
    (0..count).map(local).chain([last]).collect()
}

struct Full {
    fixture: Fixture,
    spool: Spool,
    acks: Resolved,
    arrived: BTreeSet<u64>,
    acked: BTreeSet<u64>,
}

impl Full {
    /// A log of 4 MiB.
    fn new(bindings: Vec<Binding>) -> Self {
        let counters = Arc::<Counters>::default();
        let small = config::Spool { max_bytes: 4 << 20, free_floor: 0, ..config::Spool::default() };
        let spool =
            Spool::manually_driven(SimDisk::default(), &["cloud", "other"], &small, counters.clone()).unwrap().0;
        let (workers, _) = Workers::start(1, vec![]).unwrap();
        let fixture = fixture_with(workers, bindings, spool.clone(), counters);
        Self { fixture, spool, acks: Resolved::default(), arrived: BTreeSet::new(), acked: BTreeSet::new() }
    }

    fn message(&self, number: u64, qos: QoS) -> Inbound {
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(PAYLOAD, 0);
        let receipt = if qos == QoS::AtMostOnce { Receipt::none() } else { Receipt::new(number, self.acks.clone()) };
        let message = Message::new(TopicName::parse("s0/x").unwrap(), payload, qos);
        Inbound { message, ..inbound("s0/x", receipt) }
    }

    /// As many as have places. What remains with its device.
    fn send(&mut self, numbers: impl Iterator<Item = u64>) -> Vec<Pending> {
        let mut held = Vec::new();
        for number in numbers {
            let pending = self.fixture.dispatcher.arrive(self.message(number, QoS::AtLeastOnce)).unwrap();
            held.extend(self.fixture.dispatcher.try_start(pending).err().map(|pending| *pending));
        }
        self.look();
        held
    }

    fn look(&mut self) {
        self.acked.extend(std::iter::from_fn(|| self.acks.try_next()));
    }

    /// The upstream takes what is there.
    async fn drain(&mut self) {
        let queue = self.spool.queue(UpstreamId(0));
        for entry in queue.read(Position::START, 200, usize::MAX) {
            let number = u64::from_le_bytes(entry.message.payload[..8].try_into().unwrap());
            assert!(self.arrived.insert(number), "{number} comes twice");
            queue.complete(entry.position, Fate::Forwarded);
        }
        // Those that wait for places are started by tasks.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        self.look();
        assert!(self.acked.len() >= self.arrived.len().saturating_sub(200), "what has arrived is acknowledged");
    }
}

/// Sends until devices are held, then lets the upstream take all of it.
async fn all_arrives(bindings: Vec<Binding>) {
    let mut full = Full::new(bindings);
    let mut held = full.send(0..MESSAGES);
    assert!(!held.is_empty(), "pressure reaches the devices");
    let most = 4 << 20;
    assert!(full.acked.len() * PAYLOAD < most, "more is acknowledged than the log can hold");
    let end = Instant::now() + PATIENCE;
    while full.arrived.len() < MESSAGES as usize {
        assert!(Instant::now() < end, "{} of {MESSAGES} have arrived, {} are held", full.arrived.len(), held.len());
        full.drain().await;
        let waiting = std::mem::take(&mut held);
        for pending in waiting {
            held.extend(full.fixture.dispatcher.try_start(pending).err().map(|pending| *pending));
        }
    }
    full.look();
    assert_eq!(full.acked, full.arrived);
    assert_eq!(full.fixture.counters.totals().dropped_full, 0);
    assert_eq!(full.fixture.counters.balance(full.spool.waiting()).missing(), 0);
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_behind_one_local_stage() {
    all_arrives(stages(1)).await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_behind_three_local_stages() {
    all_arrives(stages(3)).await;
}

#[tokio::test]
async fn a_circle_of_bindings_neither_loses_nor_stands_still() {
    // All hops of a circle are taken, and each of them forwards.
    let to = vec![destination(Target::Local, "s0/x"), destination(Target::Upstream(UpstreamId(0)), "{topic}")];
    let mut full = Full::new(vec![stage_of("s0/#", to)]);
    let held = full.send(0..20);
    assert!(held.is_empty());
    let end = Instant::now() + PATIENCE;
    let mut forwarded = 0;
    while full.acked.len() < 20 {
        assert!(Instant::now() < end, "{} of 20 are acknowledged", full.acked.len());
        let queue = full.spool.queue(UpstreamId(0));
        for entry in queue.read(Position::START, 200, usize::MAX) {
            queue.complete(entry.position, Fate::Forwarded);
            forwarded += 1;
        }
        tokio::task::yield_now().await;
        full.look();
    }
    assert_eq!(
        (full.fixture.counters.totals().hop_limit_exceeded, full.fixture.counters.totals().dropped_full),
        (20, 0)
    );
    assert!(forwarded >= 20 * u64::from(MAX_HOPS) / 2, "{forwarded}");
}

#[tokio::test]
async fn the_full_share_of_one_upstream_holds_back_its_own_internal_messages_alone() {
    let other = stage_of("q1/#", vec![destination(Target::Upstream(UpstreamId(1)), "{topic}")]);
    let bindings = stages(1).into_iter();
    let bindings = bindings.chain([stage_of("q0/#", vec![destination(Target::Local, "q1/{topic}")]), other]);
    let mut full = Full::new(bindings.collect());
    full.send(0..150);
    assert!(full.acked.len() < 150, "the share of the first is full");
    let ticket = 1 << 40;
    let other = inbound("q0/x", Receipt::new(ticket, full.acks.clone()));
    assert!(full.fixture.dispatcher.try_start(full.fixture.dispatcher.arrive(other).unwrap()).is_ok());
    full.look();
    assert!(full.acked.contains(&ticket));
    assert_eq!(full.spool.queue(UpstreamId(1)).len(), 1);
}

/// Without anybody who waits for it: retained, and as small as can be.
fn retained(full: &Full) -> Pending {
    let Inbound { message, origin, .. } = inbound("s0/x", Receipt::none());
    let message = Message { retain: true, qos: QoS::AtMostOnce, ..message };
    full.fixture.dispatcher.arrive(Inbound::internal(message, origin)).unwrap()
}

#[tokio::test]
async fn retained_messages_that_are_republished_do_not_wait_for_places_that_they_hold_themselves() {
    let (go, gate) = mpsc::channel::<()>();
    let slow = stage(move |_| {
        // Open for all as soon as nobody is there any more.
        let _ = gate.recv();
        Ok(Verdict::Forward)
    });
    let (workers, lanes) = Workers::start(1, vec![Chain::new(vec![slow])]).unwrap();
    let to = vec![destination(Target::Local, "s1/x")];
    let spec = config::Binding { tick: None, to, ..spec("s0/#") };
    let lane = lanes.into_iter().next();
    let mut full = Full::new(vec![Binding::new(spec, lane)]);
    full.fixture._workers = workers;
    while full.fixture.dispatcher.try_start(retained(&full)).is_ok() {}
    drop(go);
    let end = Instant::now() + PATIENCE / 4;
    while full.fixture.dispatcher.try_start(retained(&full)).is_err() {
        assert!(Instant::now() < end, "they wait for each other");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_is_also_republished_keeps_its_order_when_its_upstream_has_no_room_for_it() {
    let cloud = || destination(Target::Upstream(UpstreamId(0)), "{topic}");
    let both = stage_of("s0/#", vec![cloud(), destination(Target::Local, "elsewhere")]);
    let mut full = Full::new(vec![both, stage_of("fill/#", vec![cloud()])]);
    for number in 0.. {
        let fill = full.message(number, QoS::AtLeastOnce);
        let topic = TopicName::parse("fill/x").unwrap();
        let fill = Inbound { message: Message { topic, ..fill.message.clone() }, ..fill };
        assert!(full.fixture.dispatcher.try_start(full.fixture.dispatcher.arrive(fill).unwrap()).is_ok());
        full.look();
        if !full.acked.contains(&number) {
            break;
        }
    }
    for inbound in [full.message(1, QoS::AtLeastOnce), inbound("s0/x", Receipt::none())] {
        assert!(full.fixture.dispatcher.try_start(full.fixture.dispatcher.arrive(inbound).unwrap()).is_ok());
    }
    let queue = full.spool.queue(UpstreamId(0));
    let mut sizes = Vec::new();
    while let Some(entry) = queue.read(Position::START, 1, usize::MAX).pop() {
        queue.complete(entry.position, Fate::Forwarded);
        if entry.message.topic.as_str() == "s0/x" {
            sizes.push(entry.message.payload.len());
        }
    }
    assert_eq!(sizes, [PAYLOAD, 1]);
}

#[tokio::test]
async fn a_retained_message_that_a_plugin_raises_keeps_its_order_when_its_upstream_has_no_room() {
    let raise = stage(|payload| {
        let topic = TopicName::parse("raised").unwrap();
        Ok(Verdict::Emit(vec![Message::new(topic, payload.to_owned(), QoS::AtLeastOnce)]))
    });
    let (workers, lanes) = Workers::start(1, vec![Chain::new(vec![raise])]).unwrap();
    let cloud = vec![destination(Target::Upstream(UpstreamId(0)), "{topic}")];
    let raising = config::Binding { tick: None, to: cloud.clone(), ..spec("s0/#") };
    let mut full = Full::new(vec![
        Binding::new(raising, lanes.into_iter().next()),
        stage_of("fill/#", cloud.clone()),
        stage_of("fine/#", cloud),
    ]);
    full.fixture._workers = workers;
    // First in large steps and then in small ones, until what is left is less than the larger of the two.
    for (bytes, topic) in [(PAYLOAD, "fill/x"), (500, "fine/x")] {
        for number in 0.. {
            let message = Message::new(TopicName::parse(topic).unwrap(), vec![0; bytes], QoS::AtLeastOnce);
            let fill = Inbound { message, ..full.message(number, QoS::AtLeastOnce) };
            assert!(full.fixture.dispatcher.try_start(full.fixture.dispatcher.arrive(fill).unwrap()).is_ok());
            if full.acks.try_next().is_none() {
                break;
            }
        }
    }
    let committed = full.fixture.counters.totals().committed;
    let bytes = 700;
    for (payload, retain) in [("y".repeat(bytes), true), ("x".into(), false)] {
        let message = Message::new(TopicName::parse("s0/x").unwrap(), payload, QoS::AtMostOnce);
        let inbound = Inbound { message: Message { retain, ..message }, ..inbound("s0/x", Receipt::none()) };
        let pending = full.fixture.dispatcher.arrive(inbound).unwrap();
        assert!(full.fixture.dispatcher.try_start(pending).is_ok());
    }
    until("both are in the spool", || full.fixture.counters.totals().committed == committed + 2);
    let queue = full.spool.queue(UpstreamId(0));
    let mut sizes = Vec::new();
    while let Some(entry) = queue.read(Position::START, 1, usize::MAX).pop() {
        queue.complete(entry.position, Fate::Forwarded);
        if entry.message.topic.as_str() == "raised" {
            sizes.push(entry.message.payload.len());
        }
    }
    assert_eq!(sizes, [bytes, 1]);
}

#[tokio::test]
async fn what_was_promised_to_nobody_goes_when_there_is_no_place_and_is_counted() {
    let mut full = Full::new(stages(1));
    full.send(0..150);
    for _ in 0..2 * MESSAGES {
        let will = Inbound { receipt: Receipt::none(), ..full.message(0, QoS::AtLeastOnce) };
        full.fixture.dispatcher.publish_internal(will);
    }
    assert!(full.fixture.counters.totals().dropped_full > 0, "wills of sessions that are gone are bounded");
    assert_eq!(full.fixture.counters.balance(full.spool.waiting()).missing(), 0);
}
