//! A message on which a subscriber closes is given up for it, and for nobody else.

use std::process::Command;

use serde_json::Value;
use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::process::Process;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{Connect, PUBLISH, V4, V5, Version};

use super::talker;

/// More than it takes.
const ATTEMPTS: usize = 12;

/// Connects again and again as a library does that closes on what it does not like. What it has got when the last one has come.
fn heard_by_a_picky_device(gateway: &Gateway, version: Version, last: &str) -> Vec<String> {
    let mut heard = Vec::new();
    for _ in 0..ATTEMPTS {
        let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(version, "picky").persistent(600));
        while let Next::Packet(packet) = device.next(tidegate_tests::eventually::SOON) {
            assert_eq!(packet.kind(), PUBLISH);
            let delivered = packet.delivered(version);
            if delivered.payload.starts_with("bad") {
                break;
            }
            device.acknowledge(&delivered);
            let is_last = delivered.payload == last;
            // QoS 1: an ack that a broken connection lost is a message that comes again.
            if !heard.contains(&delivered.payload) {
                heard.push(delivered.payload);
            }
            if is_last {
                return heard;
            }
        }
    }
    panic!("{last} has not come in {ATTEMPTS} connections: {heard:?}");
}

#[test]
fn a_subscriber_that_closes_on_one_message_gets_all_others() {
    for version in [V4, V5] {
        let gateway = Gateway::start("");
        let (mut device, _) = Raw::connect(gateway.address(), &Connect::new(version, "picky").persistent(600));
        device.subscribe("t/#", 1);
        device.leave();
        gateway.expect_departure("picky");
        let mut other = Raw::clean(gateway.address(), version, "other");
        other.subscribe("t/#", 1);
        let mut talker = talker(&gateway);
        for payload in ["1", "2", "bad", "3", "4", "last"] {
            talker.publish(&format!("t/{payload}"), payload, 1);
            let delivered = other.expect_delivery();
            assert_eq!(delivered.payload, payload);
            other.acknowledge(&delivered);
        }
        assert_eq!(heard_by_a_picky_device(&gateway, version, "last"), ["1", "2", "3", "4", "last"]);
        gateway.expect_log(&["a message is given up for this subscriber", "client=\"picky\"", "topic=\"t/bad\""]);
        assert_eq!(letter(&gateway), ("picky".to_owned(), "t/bad".to_owned(), "bad".to_owned()));
        let finished = gateway.home().spool("requeue", &["--all"]);
        assert_eq!(finished.code, Some(0), "{finished:?}");
        gateway.expect_log(&["was for one subscriber", "it stays"]);
        gateway.expect_letters(1);
        assert_eq!(gateway.stop()["subscriber_given_up"], 1);
    }
}

/// The one that there is: whose it was, its topic and its payload.
fn letter(gateway: &Gateway) -> (String, String, String) {
    gateway.expect_letters(1);
    let exported = gateway.home().spool("export", &["--dead-letters"]);
    let letter: Value = serde_json::from_str(&exported.out).expect("a JSON line");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    assert!(text(&letter["facts"]["reason"]).contains("closes"), "{letter}");
    (text(&letter["facts"]["subscriber"]), text(&letter["message"]["topic"]), text(&letter["message"]["payload"]))
}

/// libmosquitto closes on what MQTT discourages in a topic (section 1.5.4), and comes back by itself.
#[test]
fn a_real_mosquitto_sub_gets_past_a_message_on_which_it_closes() {
    let gateway = Gateway::start("");
    let (host, port) = (gateway.address().ip().to_string(), gateway.address().port().to_string());
    let mut command = Command::new("stdbuf");
    command.args(["-oL", "mosquitto_sub", "-h", &host, "-p", &port, "-V", "mqttv5", "-d", "-i", "real", "-c"]);
    command.args(["-q", "1", "-t", "t/#", "-x", "600", "-F", "arrival %p"]);
    let real = Process::start("mosquitto_sub", &mut command);
    soon("it is subscribed", || real.out().count(|line| line.starts_with("Subscribed")) > 0);
    let mut talker = talker(&gateway);
    for (topic, payload) in [("t/1", "1"), ("t/\u{1}", "bad"), ("t/2", "2"), ("t/3", "3")] {
        talker.publish(topic, payload, 1);
    }
    for payload in ["1", "2", "3"] {
        soon(payload, || real.out().count(|line| line == format!("arrival {payload}")) > 0);
    }
    assert_eq!(letter(&gateway), ("real".to_owned(), "t/\u{1}".to_owned(), "bad".to_owned()));
    assert_eq!(gateway.stop()["subscriber_given_up"], 1);
}
