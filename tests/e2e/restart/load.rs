//! Kills under load: devices keep their sessions, come back and send again what is unfinished. At QoS 2 nothing is lost and
//! nothing comes twice, from the device to the subscriber of the upstream.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tidegate_tests::driver::Driver;
use tidegate_tests::eventually::{SOON, eventually, soon};
use tidegate_tests::gateway::Gateway;
use tidegate_tests::oracle::{Expected, Oracle, Seen};
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::sink::Sink;
use tidegate_tests::wire::{CONNACK, V4, V5, Version};

use super::{forwarding, keeping};

const KILLS: usize = 5;

/// Acks between two kills, of all devices together.
const BETWEEN: usize = 600;

/// Where the gateway listens now, and how far the devices are.
struct Load {
    gateway: Mutex<Gateway>,
    acknowledged: AtomicUsize,
    stop: AtomicBool,
}

// === impl Load ===

impl Load {
    /// As often as it takes: the gateway may be killed before it has answered.
    fn connect(&self, version: Version, name: &str) -> Raw {
        eventually("the gateway lets the device in", SOON, || {
            let mut raw = Raw::try_open(self.address(), version)?;
            raw.send(&keeping(version, name).encode());
            let Next::Packet(connack) = raw.next(SOON) else { return None };
            assert_eq!((connack.kind(), connack.reason()), (CONNACK, 0), "{name}: {connack:?}");
            Some(raw)
        })
    }

    /// Waits while the gateway starts again.
    fn address(&self) -> SocketAddr {
        self.gateway.lock().expect("nobody panics with it").address()
    }

    /// Sends until it is told to stop, whatever happens to the gateway.
    fn drive(&self, version: Version, name: &str) -> Oracle {
        let mut oracle = Oracle::new();
        let topic = format!("t/{name}");
        let mut device = Driver::new(self.connect(version, name), name, &topic, 2, as_it_is);
        let mut counted = 0;
        while !self.stop.load(Ordering::Relaxed) || device.unacknowledged() > 0 {
            if !self.stop.load(Ordering::Relaxed) {
                device.fill_window(&mut oracle);
            }
            if device.try_listen(Duration::from_millis(100), &mut oracle).is_err() {
                device.resume(self.connect(version, name));
            }
            self.acknowledged.fetch_add(device.acknowledged() - counted, Ordering::Relaxed);
            counted = device.acknowledged();
        }
        oracle
    }

    fn wait_for_more(&self, count: usize) {
        let enough = self.acknowledged.load(Ordering::Relaxed) + count;
        soon("the gateway acknowledges", || self.acknowledged.load(Ordering::Relaxed) >= enough);
    }
}

fn as_it_is(topic: &str, id: &str, number: usize) -> (String, String) {
    (format!("up/{topic}"), tidegate_tests::driver::payload_of(id, number))
}

/// What the sink heard of one device.
fn seen(sink: &Sink, device: &str) -> Vec<Seen> {
    let arrivals = sink.arrivals().into_iter().filter(|arrival| arrival.topic.ends_with(device));
    arrivals
        .map(|a| Seen { id: a.id(), message: Expected { topic: a.topic, qos: a.qos, payload: a.payload } })
        .collect()
}

#[test]
fn kills_under_qos_2_load_lose_nothing_and_duplicate_nothing() {
    let (_upstream, sink, gateway) = forwarding();
    let load = Load { gateway: Mutex::new(gateway), acknowledged: AtomicUsize::new(0), stop: AtomicBool::new(false) };
    let devices = [(V4, "four"), (V5, "five"), (V5, "six")];
    let load = &load;
    let oracles = thread::scope(|scope| {
        let running = devices.map(|(version, name)| scope.spawn(move || load.drive(version, name)));
        let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..KILLS {
                load.wait_for_more(BETWEEN);
                load.gateway.lock().expect("nobody panics with it").crash();
            }
            load.wait_for_more(BETWEEN);
        }));
        load.stop.store(true, Ordering::Relaxed);
        killed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        running.map(|device| device.join().expect("a device that was never cut off for good"))
    });
    for (oracle, (_, device)) in oracles.iter().zip(devices) {
        soon("what was acknowledged arrives", || oracle.judge(&seen(&sink, device)).lost.is_empty());
    }
    // Behind everything that may still come twice.
    Raw::clean(load.address(), V5, "last").publish("t/last", "last", 1);
    soon("the last one arrives", || sink.arrivals().iter().any(|arrival| arrival.topic == "up/t/last"));
    let total: usize = oracles.iter().map(Oracle::obligations).sum();
    for (oracle, (_, device)) in oracles.iter().zip(devices) {
        oracle.judge(&seen(&sink, device)).assert_perfect(BETWEEN / 10);
    }
    assert!(total >= KILLS * BETWEEN);
}
