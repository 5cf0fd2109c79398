//! A client that sends more than it may is read more slowly, and nothing of it is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_tests::eventually::SOON;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, Connect, PINGRESP, PUBACK, V4, V5, publish};

fn listener(gateway: &Gateway) -> Raw {
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("t", 0);
    listener
}

/// All of them, in order.
fn expect_numbers(listener: &mut Raw, count: usize) {
    for number in 0..count {
        let payload = listener.expect_delivery().payload;
        assert_eq!(payload.trim_start_matches('.'), number.to_string());
    }
}

fn numbered(count: usize, padding: usize) -> Vec<u8> {
    let one = |number: usize| publish(V5, "t", format!("{}{number}", ".".repeat(padding))).encode();
    (0..count).flat_map(one).collect()
}

/// A rate is a least time: a machine that is slow only makes it longer.
fn at_least(what: &str, count: usize, per_second: usize, took: Duration) {
    let least = Duration::from_secs_f64(0.9 * (count as f64 / per_second as f64) - 0.1);
    assert!(took >= least, "{count} {what} in {took:?}, at {per_second} in a second");
}

#[test]
fn messages_beyond_the_rate_wait_in_the_socket_and_all_of_them_arrive() {
    let gateway = Gateway::start("[broker.limits]\nmax_messages_per_second = 500\n");
    let mut listener = listener(&gateway);
    let begun = Instant::now();
    let mut device = Raw::clean(gateway.address(), V5, "device");
    device.send(&numbered(1_000, 0));
    // It says good-bye at once: what it has sent before is heard.
    device.send(wire::GOODBYE);
    expect_numbers(&mut listener, 1_000);
    at_least("messages", 1_000, 500, begun.elapsed());
    assert!(device.expect_close().is_empty());
    assert_eq!(gateway.stop()["received"], 1_000);
}

#[test]
fn each_qos_is_answered_at_the_rate() {
    let gateway = Gateway::start("[broker.limits]\nmax_messages_per_second = 100\n");
    for (version, qos) in [(V4, 1), (V5, 2)] {
        let begun = Instant::now();
        let mut device = Raw::clean(gateway.address(), version, "device");
        for number in 1..=80 {
            device.send(&publish(version, "t", "x").qos(qos, number).encode());
        }
        (1..=80).for_each(|number| assert_eq!(device.next(SOON), ack_of(qos, number)));
        at_least("messages", 80, 100, begun.elapsed());
    }
    assert_eq!(gateway.stop()["received"], 160);
}

fn ack_of(qos: u8, number: u16) -> Next {
    let kind = if qos == 1 { PUBACK } else { wire::PUBREC };
    let bytes = &mut wire::ack(kind, number);
    Next::Packet(wire::Packet::take(bytes).expect("a whole packet"))
}

#[test]
fn bytes_beyond_the_rate_wait_and_packets_larger_than_a_second_come_whole() {
    let gateway = Gateway::start("[broker.limits]\nmax_bytes_per_second = \"100KiB\"\n");
    let mut listener = listener(&gateway);
    let begun = Instant::now();
    let mut device = Raw::clean(gateway.address(), V5, "device");
    device.send(&numbered(4, 60_000));
    expect_numbers(&mut listener, 4);
    at_least("bytes", 240_000, 102_400, begun.elapsed());
    gateway.stop();
}

#[test]
fn a_client_that_is_held_back_is_not_taken_for_gone() {
    let gateway = Gateway::start("[broker.limits]\nmax_bytes_per_second = \"1KiB\"\n");
    let connect = Connect::new(V5, "device").keep_alive(1);
    let (mut device, _) = Raw::connect(gateway.address(), &connect);
    // Four seconds for what is read at once, and its keep-alive ends after one and a half.
    device.send(&publish(V5, "t", "x".repeat(5_000)).qos(1, 1).encode());
    device.send(wire::PING);
    // The ack may come behind the pong: it waits until the message is safe.
    let mut answers = [(); 2].map(|()| match device.next(SOON) {
        Next::Packet(answer) => answer.kind(),
        other => panic!("an answer, not {other:?}"),
    });
    answers.sort_unstable();
    assert_eq!(answers, [PUBACK, PINGRESP]);
    device.leave();
    gateway.stop();
}

#[test]
fn what_waits_of_a_client_that_connects_again_is_heard_first() {
    let gateway = Gateway::start("[broker.limits]\nmax_messages_per_second = 10\n");
    let mut listener = listener(&gateway);
    let mut device = Raw::clean(gateway.address(), V5, "device");
    device.send(&numbered(500, 0));
    // All of it is in the socket by then.
    thread::sleep(Duration::from_millis(300));
    let _again = Raw::clean(gateway.address(), V5, "device");
    expect_numbers(&mut listener, 500);
    gateway.stop();
}

#[test]
fn pings_and_subscriptions_count_and_acks_do_not() {
    let gateway = Gateway::start("[broker.limits]\nmax_messages_per_second = 200\n");
    let mut device = Raw::clean(gateway.address(), V5, "device");
    let begun = Instant::now();
    device.send(&wire::PING.repeat(400));
    (0..400).for_each(|_| drop(device.expect(PINGRESP)));
    at_least("pings", 400, 200, begun.elapsed());
    // A subscriber that acknowledges more than it may ask for.
    let mut subscriber = Raw::clean(gateway.address(), V5, "subscriber");
    subscriber.subscribe("many", 1);
    let mut publishers: Vec<Raw> = (0..8).map(|n| Raw::clean(gateway.address(), V5, &format!("p{n}"))).collect();
    let begun = Instant::now();
    for publisher in &mut publishers {
        (1..=100).for_each(|id| publisher.send(&publish(V5, "many", "x").qos(1, id).encode()));
    }
    for _ in 0..800 {
        let delivered = subscriber.expect_delivery();
        subscriber.acknowledge(&delivered);
    }
    let (took, by_its_own_rate) = (begun.elapsed(), Duration::from_secs(800 / 200));
    assert!(took < by_its_own_rate, "{took:?}: its acks are held back");
    gateway.stop();
}

/// Round trips of an honest device, one after the other.
fn percentile_99(device: &mut Raw, count: u16) -> Duration {
    let mut trips: Vec<Duration> = (1..=count)
        .map(|id| {
            let sent = Instant::now();
            device.send(&publish(V5, "honest", "1").qos(1, id).encode());
            device.expect(PUBACK);
            sent.elapsed()
        })
        .collect();
    trips.sort_unstable();
    trips[trips.len() * 99 / 100]
}

#[test]
fn honest_devices_hardly_notice_one_that_floods() {
    // A machine that is busy with something else has more than one chance.
    let ratios: Vec<f64> = (0..3).map(|_| slowed_by_a_flood()).collect();
    assert!(ratios.iter().any(|ratio| *ratio <= 3.0), "PUBACK p99 beside a flood and without, as ratios: {ratios:?}");
}

fn slowed_by_a_flood() -> f64 {
    const TRIPS: u16 = 1_000;
    let gateway = Gateway::start("[broker.limits]\nmax_messages_per_second = 2000\n");
    let mut honest = Raw::clean(gateway.address(), V5, "honest");
    let alone = percentile_99(&mut honest, TRIPS);
    let is_over = Arc::new(AtomicBool::new(false));
    let flood = {
        let (is_over, mut device) = (is_over.clone(), Raw::clean(gateway.address(), V5, "flood"));
        thread::spawn(move || {
            let messages = publish(V5, "flood", "x").encode().repeat(1_000);
            let mut taken = 0;
            while !is_over.load(Ordering::Relaxed) {
                taken += device.send_within(&messages, Duration::from_millis(50));
            }
            taken
        })
    };
    thread::sleep(Duration::from_millis(100));
    let beside = percentile_99(&mut honest, TRIPS);
    is_over.store(true, Ordering::Relaxed);
    assert!(flood.join().expect("the flood does not panic") > 0);
    beside.as_secs_f64() / alone.as_secs_f64()
}
