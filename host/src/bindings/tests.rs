//! The dispatcher with real lanes, and a disk that is simulated.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::bus::{Bus, RetainedLimits};
use crate::chain::fixtures::stage;
use crate::chain::{Chain, Workers};
use crate::config::{self, BindingId, FaultPolicy, OnError, PluginId};
use crate::message::{Message, Origin, QoS};
use crate::metrics::Counters;
use crate::plugin::fixtures::counting;
use crate::plugin::{LoadedPlugin, Verdict};
use crate::spool::{Receipt, Resolved, Spool};
use crate::topic::{TopicFilter, TopicName};

const PATIENCE: Duration = Duration::from_secs(60);

struct Fixture {
    dispatcher: Arc<Dispatcher>,
    counters: Arc<Counters>,
    _workers: Workers,
}

impl Dispatcher {
    /// As it comes from a device.
    pub(crate) fn arrive(self: &Arc<Self>, inbound: Inbound) -> Option<Pending> {
        self.receive(inbound, &self.counters().listeners.of("test"))
    }
}

fn fixture(bindings: Vec<(&str, Chain)>) -> Fixture {
    let (specs, chains): (Vec<_>, Vec<_>) = bindings.into_iter().map(|(filter, chain)| (spec(filter), chain)).unzip();
    let (workers, lanes) = Workers::start(4, chains).unwrap();
    fixture_of(workers, specs.into_iter().zip(lanes).map(|(spec, lane)| Binding::new(spec, Some(lane))).collect())
}

fn fixture_of(workers: Workers, bindings: Vec<Binding>) -> Fixture {
    let counters = Arc::<Counters>::default();
    fixture_with(workers, bindings, Spool::in_memory(1, counters.clone()), counters)
}

fn fixture_with(workers: Workers, bindings: Vec<Binding>, spool: Spool, counters: Arc<Counters>) -> Fixture {
    let table = Table::new(bindings);
    let bus = Arc::new(Bus::new(RetainedLimits { max_messages: 10, max_bytes: 1_000 }, counters.clone()));
    Fixture {
        dispatcher: Dispatcher::new("gw".into(), table, bus, spool, counters.clone()),
        counters,
        _workers: workers,
    }
}

fn spec(filter: &str) -> config::Binding {
    let (filters, tick) = (vec![TopicFilter::parse(filter).unwrap()], Some(Duration::from_secs(10)));
    config::Binding {
        name: filter.into(),
        from: None,
        filters,
        plugins: vec![PluginId(0)],
        tick,
        on_error: OnError::Drop,
        faults: FaultPolicy::NONE,
        order: Default::default(),
        on_start_failure: Default::default(),
        to: vec![],
    }
}

fn remembering(plugin: &LoadedPlugin) -> Chain {
    Chain::load("b", std::slice::from_ref(plugin), &FaultPolicy::NONE).unwrap()
}

fn inbound(topic: &str, receipt: Receipt) -> Inbound {
    let message = Message::new(TopicName::parse(topic).unwrap(), "x", QoS::AtLeastOnce);
    Inbound { receipt, ..Inbound::internal(message, Arc::new(Origin::gateway(0))) }
}

/// The next ack, for threads without a runtime.
fn next(acks: &Resolved) -> u64 {
    let mut acked = None;
    until("an ack", || {
        acked = acks.try_next();
        acked.is_some()
    });
    acked.unwrap()
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn what_a_plugin_counted_later_is_not_safe_before_what_it_counted_earlier() {
    let (go, gate) = mpsc::sync_channel::<()>(1);
    let slow = stage(move |_| {
        gate.recv().unwrap();
        Ok(Verdict::Forward)
    });
    let plugin = counting("{}");
    let fixture = fixture(vec![("t/#", remembering(&plugin)), ("t/slow", Chain::new(vec![slow]))]);
    let acks = Resolved::default();
    for (ticket, topic) in [(1, "t/slow"), (2, "t/quick"), (3, "t/quick")] {
        let pending = fixture.dispatcher.arrive(inbound(topic, Receipt::new(ticket, acks.clone()))).unwrap();
        fixture.dispatcher.try_start(pending).unwrap();
    }
    until("the plugin counts all three", || {
        plugin.stats().metrics.snapshot().iter().any(|(_, n)| n.to_string() == "3")
    });
    assert!(acks.try_next().is_none(), "the second waits for the first, which waits for another binding");
    go.send(()).unwrap();
    let order: Vec<_> = (0..3).map(|_| next(&acks)).collect();
    assert_eq!(order, [1, 2, 3]);
}

#[test]
fn bindings_without_plugins_behind_one_that_remembers_never_leave_where_the_order_is_locked() {
    let (workers, lanes) = Workers::start(2, vec![remembering(&counting("{}"))]).unwrap();
    // So many that the plugin is done before the last of them is looked at.
    let lanes = lanes.into_iter().map(Some).chain((0..2_000).map(|_| None));
    let fixture = fixture_of(workers, lanes.map(|lane| Binding::new(spec("t"), lane)).collect());
    let acks = Resolved::default();
    for ticket in 0..20 {
        let pending = fixture.dispatcher.arrive(inbound("t", Receipt::new(ticket, acks.clone()))).unwrap();
        fixture.dispatcher.try_start(pending).unwrap();
        assert_eq!(next(&acks), ticket);
    }
}

#[test]
fn a_lane_without_memory_waits_for_nobody() {
    let (go, gate) = mpsc::sync_channel::<()>(1);
    let slow = stage(move |_| {
        gate.recv().unwrap();
        Ok(Verdict::Forward)
    });
    let quick = Chain::new(vec![stage(|_| Ok(Verdict::Forward))]);
    let fixture = fixture(vec![("t/#", quick), ("t/slow", Chain::new(vec![slow]))]);
    let acks = Resolved::default();
    for (ticket, topic) in [(1, "t/slow"), (2, "t/quick")] {
        let pending = fixture.dispatcher.arrive(inbound(topic, Receipt::new(ticket, acks.clone()))).unwrap();
        fixture.dispatcher.try_start(pending).unwrap();
    }
    assert_eq!(next(&acks), 2);
    go.send(()).unwrap();
    assert_eq!(next(&acks), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_tick_comes_after_an_interval_and_those_that_were_missed_are_not_made_up_for() {
    let fixture = fixture(vec![("t", remembering(&counting("{}")))]);
    let (stop, every) = (CancellationToken::new(), Duration::from_secs(10));
    assert_eq!(fixture.dispatcher.intervals(), [(BindingId(0), every)]);
    let clock = tokio::spawn(ticks::run(fixture.dispatcher.clone(), BindingId(0), every, || 7, stop.clone()));
    tokio::task::yield_now().await;
    // One that comes before the last has finished is skipped: how many that are is for the scheduler of this machine.
    let due = || fixture.counters.totals().ticks + fixture.counters.totals().ticks_skipped;
    for (seconds, expected) in [(9, 0), (1, 1), (35, 2), (4, 2), (1, 3)] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        tokio::task::yield_now().await;
        until("the ticks that are due", || due() >= expected);
        assert_eq!(due(), expected, "{seconds} s later");
    }
    stop.cancel();
    clock.await.unwrap();
    until("what they made", || fixture.counters.totals().chain_outputs == fixture.counters.totals().ticks);
    assert!(fixture.counters.totals().ticks > 0);
}

mod by_client;
mod caused;
mod full;
mod letters;
mod partly;
mod requeue;
mod turns;
