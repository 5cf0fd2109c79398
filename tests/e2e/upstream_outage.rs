//! The upstream comes and goes; what was acknowledged arrives, and local service does not notice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tidegate_tests::driver::{Driver, WINDOW};
use tidegate_tests::eventually::{SOON, eventually, soon};
use tidegate_tests::gateway::Gateway;
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::oracle::{Expected, Oracle, Seen};
use tidegate_tests::raw::Raw;
use tidegate_tests::sink::Sink;
use tidegate_tests::trial::{BINDING, UPSTREAM_WINDOW, doubled};
use tidegate_tests::wire::{V4, V5, Version, publish};

fn driver(gateway: &Gateway, version: Version, qos: u8) -> Driver {
    let name = format!("v{}q{qos}", version as u8);
    Driver::new(Raw::clean(gateway.address(), version, &name), &name, &format!("load/{name}"), qos, doubled)
}

/// What the sink heard of one device.
fn seen(sink: &Sink, device: &str) -> Vec<Seen> {
    let arrivals = sink.arrivals().into_iter().filter(|arrival| arrival.topic.ends_with(device));
    arrivals
        .map(|a| Seen { id: a.id(), message: Expected { topic: a.topic, qos: a.qos, payload: a.payload } })
        .collect()
}

/// An upstream that keeps everything for the sink, and which is not there now.
fn sleeping_upstream() -> Mosquitto {
    let mut upstream = Mosquitto::start();
    Sink::announce(upstream.address(), "up/#");
    upstream.stop();
    upstream
}

/// It is back, and the sink hears what has come and what comes.
fn wake(upstream: &mut Mosquitto) -> Sink {
    upstream.restart();
    Sink::subscribe(upstream.address(), "up/#")
}

fn assert_local_service(gateway: &Gateway) {
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("local/#", 1);
    Raw::clean(gateway.address(), V4, "talker").publish("local/x", "still here", 1);
    assert_eq!(listener.expect_delivery().payload, "still here");
}

#[test]
fn what_is_acknowledged_before_the_upstream_is_there_arrives_when_it_comes() {
    let mut upstream = sleeping_upstream();
    let gateway = Gateway::start(&format!("{}{BINDING}", upstream.upstream("cloud", 5)));
    let mut oracle = Oracle::new();
    for qos in [1, 2] {
        driver(&gateway, V5, qos).send(100, &mut oracle);
        driver(&gateway, V4, qos).send(100, &mut oracle);
    }
    assert_local_service(&gateway);

    let sink = wake(&mut upstream);
    sink.wait_for(400);
    oracle.judge(&seen(&sink, "")).assert_perfect(400);
    gateway.expect_count("forwarded", 400);
    assert_eq!(gateway.stop()["forwarded"], 400);
}

#[test]
fn an_upstream_that_restarts_under_load_costs_nothing_that_was_acknowledged() {
    let mut upstream = Mosquitto::start();
    Sink::announce(upstream.address(), "up/#");
    let mut gateway = Gateway::start(&format!("{}{BINDING}", upstream.upstream("cloud", 5)));
    let load = Load::default();
    let oracles = thread::scope(|scope| {
        let running = Stop(&load);
        let devices = [(V5, 1), (V5, 2), (V4, 2)].map(|(version, qos)| {
            let device = driver(&gateway, version, qos);
            scope.spawn(|| load.drive(device))
        });
        for _ in 0..3 {
            load.wait_for_more(300);
            upstream.stop();
            load.wait_for_more(100);
            assert_local_service(&gateway);
            upstream.restart();
        }
        drop(running);
        devices.map(|device| device.join().expect("a driver that was not cut off"))
    });

    gateway.assert_alive();
    let sink = Sink::subscribe(upstream.address(), "up/#");
    let obligations: usize = oracles.iter().map(Oracle::obligations).sum();
    for (oracle, device) in oracles.iter().zip(["v5q1", "v5q2", "v4q2"]) {
        soon("what was acknowledged arrives", || oracle.judge(&seen(&sink, device)).lost.is_empty());
        oracle.judge(&seen(&sink, device)).assert_repeated_at_most(3 * UPSTREAM_WINDOW, 100);
    }
    gateway.expect_count("forwarded", obligations);
    let counters = gateway.stop();
    assert_eq!((counters["forwarded"] as usize, counters["possible_duplicates"]), (obligations, 0));
}

/// Devices that send until they are told to stop.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
}

/// Stops the devices also when the test fails, so that it ends.
struct Stop<'a>(&'a Load);

impl Load {
    fn drive(&self, mut device: Driver) -> Oracle {
        let mut oracle = Oracle::new();
        while !self.stop.load(Ordering::Relaxed) {
            device.send(10, &mut oracle);
            self.acknowledged.fetch_add(10, Ordering::Relaxed);
            // Some hundreds a second: more would only make the test's own programs slow.
            device.listen(Duration::from_millis(20), &mut oracle);
        }
        oracle
    }

    /// Waits until the devices have got so many acks more.
    fn wait_for_more(&self, count: usize) {
        let enough = self.acknowledged.load(Ordering::Relaxed) + count;
        soon("the gateway acknowledges", || self.acknowledged.load(Ordering::Relaxed) >= enough);
    }
}

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_full_spool_holds_devices_back_and_loses_nothing() {
    // The smallest spool there is, and messages of which some dozens fill it.
    const PADDING: usize = 200 << 10;
    // An ack that must not come has so much time to come.
    const QUIET: Duration = Duration::from_secs(3);
    let mut upstream = sleeping_upstream();
    let config = format!("[spool]\nmax_bytes = \"16MiB\"\n\n{}{BINDING}", upstream.upstream("cloud", 5));
    let gateway = Gateway::start(&config);
    // The first fills the spool up to its limit; the second finds it full.
    let mut admitted = 0;
    for version in [V4, V5] {
        let mut oracle = Oracle::new();
        let mut device = driver(&gateway, version, 1).padded(PADDING);
        let is_full = || gateway.log().count(|line| line.contains("the spool is full")) > 0;
        eventually("it is full, and no ack comes any more", SOON, || {
            while device.try_send(&mut oracle) || device.listen(QUIET, &mut oracle) {
                assert!(device.acknowledged() * PADDING < 16 << 20, "more is acknowledged than there is room for");
            }
            is_full().then_some(())
        });
        device.ping(&mut oracle);
        assert_eq!(device.acknowledged() > 0, version == V4, "no ack for what has no place");
        admitted += device.acknowledged();
        assert_local_service(&gateway);

        if version == V5 {
            let sink = wake(&mut upstream);
            device.finish(&mut oracle);
            device.send(10, &mut oracle);
            soon("all arrive", || oracle.judge(&seen(&sink, "v5q1")).lost.is_empty());
            oracle.judge(&seen(&sink, "v5q1")).assert_perfect(30);
            sink.wait_for(admitted + WINDOW + WINDOW + 10);
        }
    }
    assert_eq!(gateway.stop()["dropped_full"], 0);
}

#[test]
fn of_qos_0_the_newest_are_kept_and_the_others_counted() {
    let mut upstream = sleeping_upstream();
    let config = format!("[spool]\nmax_qos0_messages = 10\n\n{}{BINDING}", upstream.upstream("cloud", 5));
    let gateway = Gateway::start(&config);
    let mut device = Raw::clean(gateway.address(), V5, "device");
    for number in 0..100 {
        device.send(&publish(V5, "load/device", format!(r#"{{"n":{number}}}"#)).encode());
    }
    // Same device, same topic, same lane: once this one is acknowledged, those before it are in the spool.
    device.publish("load/device", r#"{"n":100}"#, 1);

    let arrivals = wake(&mut upstream).wait_for(11);
    let numbers: Vec<String> = arrivals.iter().map(|arrival| arrival.payload.clone()).collect();
    let newest: Vec<String> = (90..=100).map(|number| format!(r#"{{"n":{}}}"#, 2 * number)).collect();
    assert_eq!(numbers, newest);
    gateway.expect_count("forwarded", 11);
    let counters = gateway.stop();
    assert_eq!((counters["dropped_full"], counters["forwarded"]), (90, 11));
}
