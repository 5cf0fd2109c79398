//! Messages that an upstream does not take: it refuses them, closes on them, or never acknowledges them.

use std::sync::Arc;

use serde_json::Value;
use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::Raw;
use tidegate_tests::sink::Sink;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::{self, Connect, DISCONNECT, Properties, V4, V5, Will, id, publish};

const NOT_AUTHORIZED: u8 = 0x87;

/// MQTT allows it in a topic, and mosquitto closes on it.
const CONTROL: &str = "sensors/\u{1}";

/// Everything goes to the upstream.
fn config(upstream: &str) -> String {
    format!("{upstream}\n[[bindings]]\nname = \"all\"\ntopic = \"#\"\nto = [{{ upstream = \"cloud\" }}]\n")
}

fn letters(gateway: &Gateway) -> Vec<Value> {
    let finished = gateway.home().spool("export", &["--dead-letters"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.out.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn status(gateway: &Gateway) -> Value {
    let finished = gateway.home().tidegate("status", &["--format", "json"]);
    serde_json::from_str(&finished.out).unwrap_or_default()
}

#[test]
fn what_the_upstream_refuses_is_a_dead_letter_and_goes_to_it_again_when_requeued() {
    let upstream = Upstream::start();
    upstream.refuse("secret", NOT_AUTHORIZED);
    let gateway = Gateway::start(&config(&upstream.config(5)));
    let mut device = Raw::clean(gateway.address(), V5, "device");
    for qos in [1, 2] {
        device.publish(&format!("secret/{qos}"), "x", qos);
        device.publish(&format!("public/{qos}"), "x", qos);
    }
    upstream.wait_for(2);
    gateway.expect_letters(2);
    let letters = letters(&gateway);
    let (facts, message) = (&letters[0]["facts"], &letters[0]["message"]);
    let by = (facts["upstream"].as_str(), facts["binding"].as_str(), facts["attempts"].as_u64());
    assert_eq!(by, (Some("cloud"), Some("all"), Some(1)));
    assert!(facts["reason"].as_str().is_some_and(|reason| reason.contains("Not authorized (0x87)")), "{facts}");
    assert_eq!((message["topic"].as_str(), message["qos"].as_u64()), (Some("secret/1"), Some(1)));

    upstream.take_all();
    let finished = gateway.home().spool("requeue", &["--all"]);
    assert_eq!(finished.out, "2 on their way\n", "{finished:?}");
    upstream.wait_for(4);
    gateway.expect_letters(0);
    let topics: Vec<_> = upstream.arrivals().into_iter().map(|one| (one.topic, one.qos)).collect();
    assert!(topics.contains(&("secret/1".into(), 1)) && topics.contains(&("secret/2".into(), 2)), "{topics:?}");
    let counters = gateway.stop();
    assert_eq!((counters["undelivered"], counters["requeued"], counters["forwarded"]), (2, 2, 4));
}

#[test]
fn a_kill_between_a_letter_and_the_end_of_its_message_makes_two_letters_and_never_none() {
    let upstream = Upstream::start();
    upstream.refuse("secret", NOT_AUTHORIZED);
    let home = Arc::new(Home::new(&config(&upstream.config(5))));
    let gateway = Gateway::launch(&home, &Launch::failing("egress.letter_filed=return"));
    let mut device = Raw::clean(gateway.address(), V5, "device");
    device.send(&publish(V5, "secret/1", "x").qos(1, 7).encode());
    assert!(!gateway.wait_for_end().success());
    let gateway = Gateway::launch(&home, &Launch::default());
    soon("the message has left the spool", || status(&gateway)["waiting"].as_u64() == Some(0));
    let letters = letters(&gateway);
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter["message"]["topic"] == "secret/1"));
    gateway.stop();
}

/// More than the spool holds. Letters that had to wait for room in there would wait for ever.
#[test]
fn a_full_spool_of_refused_messages_drains_into_the_dead_letters() {
    const MESSAGES: usize = 1_000;
    let upstream = Upstream::start();
    upstream.refuse("secret", NOT_AUTHORIZED);
    upstream.set_away(true);
    let gateway = Gateway::start(&format!("[spool]\nmax_bytes = \"16MiB\"\n\n{}", config(&upstream.config(5))));
    let mut device = Raw::clean(gateway.address(), V5, "device");
    let payload = "x".repeat(20_000);
    let sending = std::thread::spawn(move || (0..MESSAGES).for_each(|_| device.publish("secret/1", &payload, 1)));
    gateway.expect_log(&["the spool is full"]);
    upstream.set_away(false);
    sending.join().expect("every message is acknowledged");
    gateway.expect_count("undelivered", MESSAGES);
    gateway.stop();
}

/// Twenty good messages with a bad one among them, which is published by `bad`.
fn mosquitto_closes_on(protocol: u8, bad: impl FnOnce(&mut Raw)) -> (Gateway, Value) {
    mosquitto_does_not_take("", protocol, bad)
}

/// The same with more in the configuration of mosquitto.
fn mosquitto_does_not_take(settings: &str, protocol: u8, bad: impl FnOnce(&mut Raw)) -> (Gateway, Value) {
    let mut upstream = Mosquitto::start();
    if !settings.is_empty() {
        upstream.restart_with(settings);
    }
    let sink = Sink::subscribe(upstream.address(), "good/#");
    let gateway = Gateway::start(&config(&upstream.upstream("cloud", protocol)));
    let mut device = Raw::clean(gateway.address(), V5, "device");
    (0..5).for_each(|n| device.publish("good/1", &n.to_string(), 1));
    bad(&mut device);
    (5..20).for_each(|n| device.publish("good/1", &n.to_string(), 1));
    let first_arrivals = || {
        let mut seen: Vec<String> = Vec::new();
        for arrival in sink.arrivals() {
            if !seen.contains(&arrival.payload) {
                seen.push(arrival.payload);
            }
        }
        seen
    };
    soon("all good ones arrive", || first_arrivals().len() == 20);
    assert_eq!(first_arrivals(), (0..20).map(|n| n.to_string()).collect::<Vec<_>>(), "in order");
    gateway.expect_letters(1);
    let letter = letters(&gateway).remove(0);
    (gateway, letter)
}

#[test]
fn a_message_on_which_mosquitto_closes_is_found_and_the_rest_goes_on() {
    for (protocol, qos) in [(4, 1), (5, 2)] {
        let (gateway, letter) = mosquitto_closes_on(protocol, |device| device.publish(CONTROL, "bad", qos));
        assert_eq!(
            (letter["message"]["topic"].as_str(), letter["message"]["payload"].as_str()),
            (Some(CONTROL), Some("bad"))
        );
        assert!(
            letter["facts"]["reason"].as_str().is_some_and(|reason| reason.contains("does not take it")),
            "{letter}"
        );
        gateway.expect_log(&["kept as a dead letter", "sensors/", "attempts="]);
        let counters = gateway.stop();
        assert_eq!((counters["undelivered"], counters["forwarded"]), (1, 20));
    }
}

#[test]
fn a_property_on_which_mosquitto_closes_is_found_as_well() {
    let properties = Properties::new().text(id::CONTENT_TYPE, "text/\u{1}");
    let (gateway, letter) = mosquitto_closes_on(5, |device| {
        device.send(&publish(V5, "bad/1", "bad").qos(1, 999).with(properties).encode());
        device.finish_publish(1, 999);
    });
    assert_eq!(letter["message"]["properties"]["content_type"].as_str(), Some("text/\u{1}"));
    gateway.stop();
}

type Bad = fn(&mut Raw);

/// 3.1.1 has no words for the limits of a server: mosquitto closes. In MQTT 5 it says them in CONNACK, or refuses.
#[test]
fn what_is_beyond_the_limits_of_a_mosquitto_is_a_dead_letter_and_the_rest_goes_on() {
    let large: Bad = |device| device.publish("large/1", &"x".repeat(2_000), 1);
    let exactly_once: Bad = |device| device.publish("exactly/1", "bad", 2);
    let retained: Bad = |device| {
        device.send(&publish(V5, "retained/1", "bad").qos(1, 999).retain().encode());
        device.finish_publish(1, 999);
    };
    let cases: [(&str, u8, Bad, &str, &str); 5] = [
        ("max_packet_size 1000\n", 4, large, "large/1", "does not take it"),
        ("max_packet_size 1000\n", 5, large, "large/1", "takes at most 1000"),
        ("message_size_limit 1000\n", 5, large, "large/1", "Packet too large (0x95)"),
        ("max_qos 1\n", 4, exactly_once, "exactly/1", "does not take it"),
        ("retain_available false\n", 4, retained, "retained/1", "does not take it"),
    ];
    for (settings, protocol, bad, topic, says) in cases {
        let (gateway, letter) = mosquitto_does_not_take(settings, protocol, bad);
        let (at, reason) = (letter["message"]["topic"].as_str(), letter["facts"]["reason"].as_str());
        assert!(at == Some(topic) && reason.is_some_and(|reason| reason.contains(says)), "{settings} {letter}");
        let counters = gateway.stop();
        assert_eq!((counters["undelivered"], counters["forwarded"]), (1, 20), "{settings}");
    }
}

/// Twenty good messages of QoS 1 and 2 by turns, and a bad one after the fifth.
fn with_a_bad_one_among_them(device: &mut Raw, bad: &str, qos: u8) {
    for n in 0..20 {
        if n == 5 {
            device.publish(bad, "bad", qos);
        }
        device.publish(&format!("good/{}", n % 3), &n.to_string(), 1 + n % 2);
    }
}

#[test]
fn a_disconnect_with_a_reason_for_one_topic_is_a_dead_letter_with_that_reason() {
    for (reason, words) in [(0x87, "Not authorized (0x87)"), (0x95, "Packet too large (0x95)")] {
        let upstream = Upstream::start();
        upstream.end_on("secret", &[DISCONNECT << 4, 1, reason]);
        let gateway = Gateway::start(&config(&upstream.config(5)));
        with_a_bad_one_among_them(&mut Raw::clean(gateway.address(), V5, "device"), "secret/1", 1);
        gateway.expect_letters(1);
        let letter = letters(&gateway).remove(0);
        assert_eq!(letter["message"]["topic"].as_str(), Some("secret/1"));
        assert!(letter["facts"]["reason"].as_str().is_some_and(|said| said.contains(words)), "{letter}");
        gateway.expect_count("forwarded", 20);
        assert_eq!(gateway.stop()["undelivered"], 1);
    }
}

#[test]
fn an_ack_that_does_not_come_is_told_by_topic_and_packet_id_and_the_message_comes_again() {
    let upstream = Upstream::start();
    let gateway = Gateway::start(&config(&format!("{}ack_timeout = \"1s\"\n", upstream.config(5))));
    let mut device = Raw::clean(gateway.address(), V5, "device");
    device.publish("first", "x", 1);
    upstream.wait_for(1);
    upstream.hold_acks(true);
    device.publish("second", "x", 1);
    gateway.expect_log(&["no PUBACK or PUBREC for packet id 3", "`second`"]);
    upstream.hold_acks(false);
    gateway.expect_count("forwarded", 2);
    let arrivals = upstream.arrivals();
    assert!(arrivals.iter().any(|one| one.topic == "second" && one.dup), "{arrivals:?}");
    gateway.stop();
}

#[test]
fn an_operator_sees_the_oldest_message_and_leaves_it_out() {
    let upstream = Upstream::start();
    upstream.hold_acks(true);
    let gateway = Gateway::start(&config(&upstream.config(5)));
    let mut device = Raw::clean(gateway.address(), V5, "device");
    ["first", "second", "third"].iter().for_each(|topic| device.publish(topic, "x", 1));
    upstream.wait_for(3);
    let oldest = status(&gateway)["upstreams"][0]["oldest"].clone();
    assert_eq!((oldest["number"].as_u64(), oldest["topic"].as_str()), (Some(1), Some("first")), "{oldest}");
    let finished = gateway.home().spool("skip", &["--upstream", "cloud"]);
    assert_eq!(finished.out, "number 1 on first is left out, kept as a dead letter\n", "{finished:?}");
    let finished = gateway.home().spool("skip", &["--upstream", "cloud", "--number", "3", "--drop"]);
    assert_eq!(finished.out, "number 3 on third is left out, dropped\n", "{finished:?}");
    let finished = gateway.home().spool("skip", &["--upstream", "elsewhere"]);
    assert!(finished.code == Some(1) && finished.err.contains("no upstream `elsewhere`"), "{finished:?}");
    gateway.expect_letters(1);
    upstream.hold_acks(false);
    gateway.expect_count("forwarded", 1);
    let counters = gateway.stop();
    assert_eq!((counters["undelivered"], counters["skipped"], counters["forwarded"]), (1, 1, 1));
}

#[test]
fn by_choice_a_device_that_sends_control_characters_is_ended() {
    let gateway = Gateway::start("[broker]\nstrict_utf8 = true\n");
    for version in [V4, V5] {
        let mut device = Raw::clean(gateway.address(), version, "device");
        device.send(&publish(version, CONTROL, "x").qos(1, 1).encode());
        let said = device.expect_close();
        let reasons: Vec<_> = said.iter().filter(|one| one.kind() == DISCONNECT).map(wire::Packet::reason).collect();
        assert_eq!(reasons, if version == V5 { vec![0x81] } else { vec![] });
    }
    gateway.stop();
}

#[test]
fn by_choice_a_device_is_refused_whose_will_or_names_have_what_mqtt_discourages() {
    let gateway = Gateway::start("[broker]\nstrict_utf8 = true\n");
    let with = |will| Connect::new(V5, "device").will(will);
    let refused = [
        with(Will::new(CONTROL, "x")),
        with(Will::new("t", "x").with(Properties::new().user("a", "\u{1}"))),
        Connect::new(V5, "device").with(|properties| properties.user("a\u{7f}", "b")),
        Connect::new(V5, "dev\u{1}ice"),
    ];
    for connect in refused {
        let mut device = Raw::open(gateway.address(), V5);
        device.send(&connect.encode());
        let said = device.expect_close();
        assert_eq!(said.iter().map(wire::Packet::reason).collect::<Vec<_>>(), [0x81], "{said:?}");
    }
    // Text is what a payload is said to be, and text has line breaks.
    let is_text = Properties::new().byte(id::PAYLOAD_FORMAT, 1);
    let (mut device, _) = Raw::connect(gateway.address(), &with(Will::new("t", "line\nbreak").with(is_text.clone())));
    device.send(&publish(V5, "t", b"\xFF\xFE").with(is_text).encode());
    let said = device.expect_close();
    assert_eq!(said.iter().map(wire::Packet::reason).collect::<Vec<_>>(), [0x99], "{said:?}");
    gateway.stop();
}
