//! Boards without a clock that runs while they are off: the time is 1970, or that of the last shutdown, until the network comes up. What
//! has a deadline keeps it, in both directions, while the gateway runs and over a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_tests::eventually::SOON;
use tidegate_tests::fake_clock::FakeClock;
use tidegate_tests::gateway::{Gateway, Home};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::sink::Sink;
use tidegate_tests::wire::{self, Connect, PUBACK, PUBLISH, Properties, V4, V5, Will, id, publish};

/// 1970, days late, days ahead, and what the machine says.
const EPOCH: &str = "-20300d";
const LATE: &str = "-5d";
const AHEAD: &str = "+30d";
const TRUE: &str = "+0d";

/// A dead letter is a message for which there is no topic.
const BINDINGS: &str = r#"
[spool]
max_age = "1h"

[dead_letters]
max_age = "1h"

[[bindings]]
name = "up"
topic = "up"
to = [{ upstream = "cloud" }]

[[bindings]]
name = "nowhere"
topic = "nowhere"
to = [{ local = true, topic = "by/{client}" }]
"#;

/// What waits and has an hour for it.
fn leave_things_behind(gateway: &Gateway) {
    let hour = || Properties::new().long(id::EXPIRY, 3_600);
    let will = Will::new("will", "too early").with(Properties::new().long(id::WILL_DELAY, 3_600));
    let sleeper = Connect::new(V5, "sleeper").persistent(3_600).will(will);
    let (mut sleeper, _) = Raw::connect(gateway.address(), &sleeper);
    sleeper.subscribe("queued", 1);
    drop(sleeper);
    gateway.expect_departure("sleeper");
    let mut talker = Raw::clean(gateway.address(), V5, "talk+er");
    let messages = [
        publish(V5, "queued", "expires").with(hour()),
        publish(V5, "queued", "stays"),
        publish(V5, "retained", "expires").with(hour()).retain(),
        publish(V5, "up", "expires").with(hour()),
        publish(V5, "up", "stays"),
        publish(V5, "nowhere", "dead"),
    ];
    for (number, message) in messages.into_iter().enumerate() {
        talker.send(&message.qos(1, number as u16 + 1).encode());
        talker.expect(PUBACK);
    }
}

fn assert_nothing_is_missing(gateway: &Gateway, upstream: &mut Mosquitto) {
    gateway.expect_letters(1);
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("will", 0);
    listener.send(&wire::subscribe(V5, 9, &Properties::new(), &[("retained", 0)]));
    let both = [listener.next(SOON), listener.next(SOON)].map(|next| match next {
        Next::Packet(packet) => packet,
        other => panic!("{other:?}"),
    });
    let retained =
        both.iter().find(|packet| packet.kind() == PUBLISH).expect("the retained message, beside the SUBACK");
    let left = retained.delivered(V5).properties.number(id::EXPIRY).expect("its expiry");
    assert!((3_000..=3_600).contains(&left), "{left} s are left");
    let (mut sleeper, connack) =
        Raw::connect(gateway.address(), &Connect::new(V5, "sleeper").persistent(3_600).clean(false));
    assert!(connack.session_present());
    let queued = [sleeper.expect_delivery(), sleeper.expect_delivery()];
    assert_eq!(queued.map(|delivery| delivery.payload), ["expires", "stays"]);
    upstream.restart();
    let sink = Sink::subscribe(upstream.address(), "up");
    let arrived: Vec<_> = sink.wait_for(2).into_iter().map(|arrival| arrival.payload).collect();
    assert_eq!(arrived, ["expires", "stays"]);
    listener.expect_quiet();
}

fn upstream() -> Mosquitto {
    let mut upstream = Mosquitto::start();
    Sink::announce(upstream.address(), "up");
    upstream.stop();
    upstream
}

#[test]
fn a_clock_that_is_set_while_the_gateway_runs_takes_nothing_away() {
    for (then, now) in [(EPOCH, TRUE), (LATE, TRUE), (TRUE, EPOCH)] {
        let mut upstream = upstream();
        let home = Arc::new(Home::new(&format!("{}{BINDINGS}", upstream.upstream("cloud", 5))));
        let clock = FakeClock::new(then);
        let gateway = Gateway::launch(&home, &clock.launch());
        leave_things_behind(&gateway);
        clock.set(now);
        // What it knows of the time is now on its disk, and what looks for what is too old looks at its start.
        gateway.stop();
        let gateway = Gateway::launch(&home, &clock.launch());
        assert_nothing_is_missing(&gateway, &mut upstream);
    }
}

#[test]
fn a_clock_that_is_set_while_the_gateway_does_not_run_takes_nothing_away() {
    for (then, now) in [(EPOCH, TRUE), (TRUE, AHEAD), (TRUE, EPOCH)] {
        let mut upstream = upstream();
        let home = Arc::new(Home::new(&format!("{}{BINDINGS}", upstream.upstream("cloud", 5))));
        let clock = FakeClock::new(then);
        let gateway = Gateway::launch(&home, &clock.launch());
        leave_things_behind(&gateway);
        gateway.kill();
        clock.set(now);
        let gateway = Gateway::launch(&home, &clock.launch());
        assert_nothing_is_missing(&gateway, &mut upstream);
    }
}

#[test]
fn what_is_due_is_due_when_the_clock_has_gone_back() {
    let home = Arc::new(Home::new(""));
    let clock = FakeClock::new(TRUE);
    let gateway = Gateway::launch(&home, &clock.launch());
    let delayed = |seconds| Will::new("will", "due").with(Properties::new().long(id::WILL_DELAY, seconds));
    drop(Raw::connect(gateway.address(), &Connect::new(V5, "device").persistent(600).will(delayed(8))));
    gateway.expect_departure("device");
    drop(Raw::connect(gateway.address(), &Connect::new(V5, "short").persistent(8)));
    gateway.expect_departure("short");
    let mut talker = Raw::clean(gateway.address(), V5, "talker");
    let expiring = publish(V5, "retained", "x").with(Properties::new().long(id::EXPIRY, 8)).retain();
    talker.send(&expiring.qos(1, 1).encode());
    talker.expect(PUBACK);
    let written = Instant::now();
    gateway.kill();
    clock.set(LATE);
    let gateway = Gateway::launch(&home, &clock.launch());
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("will", 0);
    assert_eq!(listener.expect_delivery().payload, "due");
    std::thread::sleep(Duration::from_secs(9).saturating_sub(written.elapsed()));
    listener.subscribe("retained", 0);
    listener.expect_quiet();
    let (_, connack) = Raw::connect(gateway.address(), &Connect::new(V5, "short").persistent(600).clean(false));
    assert!(!connack.session_present(), "its session has ended");
}

#[test]
fn a_device_that_was_connected_when_the_gateway_was_killed_and_does_not_come_back_has_its_will_published() {
    let gateway = Gateway::start("");
    let connect = |name, version| Connect::new(version, name).will(Will::new("will", name).qos(1));
    let (gone, _) = Raw::connect(gateway.address(), &connect("gone", V4));
    let (kept, _) = Raw::connect(gateway.address(), &connect("kept", V5).persistent(600));
    let (back, _) = Raw::connect(gateway.address(), &connect("back", V5));
    // What is written is safe when a later message is.
    Raw::clean(gateway.address(), V4, "talker").publish("t", "x", 1);
    let mut talker = Raw::clean(gateway.address(), V4, "talker");
    talker.send(&publish(V4, "t", "x").qos(1, 2).retain().encode());
    talker.expect(PUBACK);
    let gateway = gateway.kill().start_again();
    drop((gone, kept, back));
    let (_back, _) = Raw::connect(gateway.address(), &connect("back", V5));
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("will", 0);
    let mut heard = [listener.expect_delivery().payload, listener.expect_delivery().payload];
    heard.sort();
    assert_eq!(heard, ["gone", "kept"]);
    listener.expect_quiet();
}
