//! What was acknowledged arrives, or is kept where somebody finds it: at the edges, where it once did not.

use std::thread;

use tidegate_tests::driver::{Driver, payload_of};
use tidegate_tests::gateway::Gateway;
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::oracle::Oracle;
use tidegate_tests::raw::Raw;
use tidegate_tests::sink::Sink;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::{Connect, V4, V5};

/// As much as a packet may be by default, but for its head.
const LARGE: usize = 250_000;

/// Away, with sessions.
fn subscribers(gateway: &Gateway, count: usize) {
    for number in 0..count {
        let connect = Connect::new(V5, &format!("subscriber {number}")).persistent(600);
        let (mut subscriber, _) = Raw::connect(gateway.address(), &connect);
        subscriber.subscribe("t", 1);
        subscriber.leave();
    }
}

/// One message that is kept for so many arrives at the upstream, and at the subscribers, also after a restart.
fn is_kept_for(count: usize, spool: &str) {
    let upstream = Mosquitto::start();
    let sink = Sink::subscribe(upstream.address(), "#");
    let config = format!(
        "{spool}{}[[bindings]]\nname = \"b\"\ntopic = \"t\"\nto = [{{ upstream = \"cloud\" }}]\n",
        upstream.upstream("cloud", 5)
    );
    let gateway = Gateway::start(&config);
    subscribers(&gateway, count);
    let payload = "x".repeat(LARGE);
    Raw::clean(gateway.address(), V4, "device").publish("t", &payload, 1);
    assert_eq!(sink.wait_for(1)[0].payload.len(), LARGE);
    let gateway = gateway.kill().start_again();
    for number in [0, count - 1] {
        let connect = Connect::new(V5, &format!("subscriber {number}")).persistent(600);
        let (mut subscriber, connack) = Raw::connect(gateway.address(), &connect);
        assert!(connack.session_present());
        assert_eq!(subscriber.expect_delivery().payload.len(), LARGE);
    }
    let counters = gateway.stop();
    assert_eq!((counters["oversize"], counters["acknowledged_lost"]), (0, 0));
}

#[test]
fn a_large_message_for_many_subscribers_arrives() {
    is_kept_for(140, "");
}

#[test]
fn a_large_message_for_several_subscribers_arrives_through_the_smallest_spool() {
    is_kept_for(17, "[spool]\nmax_bytes = \"16MiB\"\n");
}

#[test]
fn a_message_whose_topic_becomes_too_deep_is_a_dead_letter_with_its_own_topic() {
    let config = "[[bindings]]\nname = \"deep\"\ntopic = \"x/#\"\nto = [{ local = true, topic = \"a/b/{topic}\" }]\n\
                  dead_letter_topic = \"dead/letters/{topic}\"\n";
    let gateway = Gateway::start(config);
    let topic = vec!["x"; 199].join("/");
    let mut device = Raw::clean(gateway.address(), V4, "device");
    for qos in [1, 2] {
        device.publish(&topic, "21.5", qos);
    }
    gateway.expect_letters(2);
    let exported = gateway.home().spool("export", &["--dead-letters"]);
    let letters: Vec<serde_json::Value> =
        exported.out.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert!(letters.iter().all(|letter| letter["message"]["topic"] == topic), "{letters:#?}");
    assert!(letters.iter().all(|letter| letter["facts"]["binding"] == "deep"), "{letters:#?}");
    let counters = gateway.stop();
    assert_eq!((counters["dead_lettered"], counters["unroutable"], counters["acknowledged_lost"]), (2, 2, 0));
}

/// What a device sends to `in/NAME` goes upstream as `out/in/NAME`.
fn republished(topic: &str, id: &str, number: usize) -> (String, String) {
    (format!("out/{topic}"), payload_of(id, number))
}

/// A spool that fills up behind a local stage: what was republished finds no place, and must not be acknowledged or must arrive.
/// With half as many messages no window is full.
#[test]
fn a_hundred_devices_with_full_windows_lose_nothing_when_the_spool_is_full_behind_a_local_stage() {
    const DEVICES: usize = 100;
    const RECEIVE_MAXIMUM: usize = 100;
    const EACH: usize = 130;
    let upstream = Upstream::start();
    upstream.set_away(true);
    let gateway = Gateway::start(&format!(
        "[spool]\nmax_bytes = \"16MiB\"\n\n{}\n\
         [[bindings]]\nname = \"first\"\ntopic = \"in/#\"\nto = [{{ local = true, topic = \"out/{{topic}}\" }}]\n\
         [[bindings]]\nname = \"second\"\ntopic = \"out/#\"\nto = [{{ upstream = \"cloud\" }}]\n",
        upstream.config(5)
    ));
    let device = |number: usize| {
        let (name, topic) = (format!("device-{number}"), format!("in/{number}"));
        let raw = Raw::clean(gateway.address(), V5, &name);
        let device = Driver::new(raw, &name, &topic, 1, republished).padded(4_096).window(RECEIVE_MAXIMUM);
        thread::spawn(move || {
            let (mut device, mut oracle) = (device, Oracle::new());
            device.send(EACH, &mut oracle);
            oracle
        })
    };
    let devices: Vec<_> = (0..DEVICES).map(device).collect();
    gateway.expect_log(&["devices are held back"]);
    upstream.set_away(false);
    let mut oracle = Oracle::new();
    devices
        .into_iter()
        .for_each(|device| oracle.absorb(device.join().expect("a device that is acknowledged in the end")));
    upstream.settle(&oracle);
    let verdict = oracle.judge(&upstream.seen());
    assert_eq!((verdict.obligations, verdict.lost.len()), (DEVICES * EACH, 0), "acknowledged, and lost");
    gateway.expect_count("forwarded", DEVICES * EACH);
    let counters = gateway.stop();
    assert_eq!((counters["acknowledged_lost"], counters["dead_lettered"]), (0, 0));
}
