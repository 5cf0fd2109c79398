//! What a plugin fails on is kept until somebody has looked at it, and can go again.

use std::fs;
use std::sync::Arc;

use tidegate_tests::eventually::SOON;
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::sink::Sink;
use tidegate_tests::wire::{self, V4, publish};

/// Its destinations follow.
pub const RISKY: &str = r#"
[plugins.vices]
component = "plugins/vices.wasm"

[[bindings]]
name = "risky"
topic = "risky/#"
plugins = ["vices"]
"#;

/// A plugin that takes everything, under the same name.
const MENDED: &str = r#"[plugins.vices]
component = "plugins/rename.wasm"
config = { rules = [{ from = "nothing/like/this", to = "else" }] }
"#;

fn letters(gateway: &Gateway) -> Vec<serde_json::Value> {
    let finished = gateway.home().spool("export", &["--dead-letters"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.out.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn a_failed_message_that_was_acknowledged_is_there_once_after_a_kill() {
    let config = format!("{RISKY}to = [{{ local = true, topic = \"out/{{topic}}\" }}]\n");
    let mut gateway = Gateway::start(&config);
    for round in 1..=3 {
        let mut device = Raw::clean(gateway.address(), V4, "device");
        device.send(&publish(V4, "risky/x", "trap").qos(1, 7).encode());
        assert_eq!(device.expect(wire::PUBACK).packet_id(), 7);
        gateway = gateway.kill().start_again();
        gateway.expect_letters(round);
    }
    let letters = letters(&gateway);
    assert_eq!(letters.len(), 3);
    let (facts, message) = (&letters[0]["facts"], &letters[0]["message"]);
    assert_eq!((facts["binding"].as_str(), facts["plugin"].as_str()), (Some("risky"), Some("vices")));
    assert_eq!((facts["reason"].as_str(), facts["client"].as_str()), (Some("trapped"), Some("device")));
    assert_eq!((facts["attempts"].as_u64(), facts["sha256"].as_str().map(str::len)), (Some(1), Some(64)));
    assert_eq!((message["topic"].as_str(), message["qos"].as_u64()), (Some("risky/x"), Some(1)));
    gateway.stop();
}

#[test]
fn after_the_plugin_is_mended_a_requeued_letter_is_forwarded_with_its_qos() {
    let upstream = Mosquitto::start();
    let sink = Sink::subscribe(upstream.address(), "#");
    let to = "to = [{ upstream = \"cloud\" }]\n";
    let broken = format!("{}{RISKY}{to}", upstream.upstream("cloud", 5));
    let gateway = Gateway::start(&broken);
    let mut device = Raw::clean(gateway.address(), V4, "device");
    device.publish("risky/two", "trap", 2);
    device.publish("risky/one", "panic", 1);
    gateway.expect_letters(2);

    // Still broken: it fails again, and says so.
    let finished = gateway.home().spool("requeue", &["--id", "2"]);
    assert_eq!((finished.code, finished.out.as_str()), (Some(0), "1 on their way\n"), "{finished:?}");
    gateway.expect_log_times(3, &["risky", "trapped"]);
    tidegate_tests::eventually::soon("it is a letter again", || {
        let attempts: Vec<_> = letters(&gateway).iter().map(|one| one["facts"]["attempts"].as_u64()).collect();
        attempts == [Some(1), Some(2)]
    });

    // Marked while nobody runs, and replayed at the next start.
    let stopped = gateway.stop_and_keep();
    let finished = stopped.home().spool("requeue", &["--all"]);
    assert_eq!(finished.out, "2 to go again at the next start\n", "{finished:?}");
    let path = stopped.home().path().join("gateway.toml");
    let old = "[plugins.vices]\ncomponent = \"plugins/vices.wasm\"\n";
    let config = fs::read_to_string(&path).expect("it was written");
    assert!(config.contains(old));
    fs::write(&path, config.replace(old, MENDED)).expect("a file in a temporary folder");
    let gateway = stopped.start_again();
    let arrivals = sink.wait_for(2);
    let mut seen: Vec<_> = arrivals.iter().map(|one| (one.topic.as_str(), one.payload.as_str(), one.qos)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("risky/one", "panic", 1), ("risky/two", "trap", 2)]);
    gateway.expect_letters(0);
    gateway.stop();
}

/// Refused by its plugin, at QoS 1, with a window. How many were acknowledged before the gateway was gone.
fn flood(gateway: &Gateway, messages: u16) -> u16 {
    const WINDOW: u16 = 50;
    let (mut loud, junk) = (Raw::clean(gateway.address(), V4, "loud"), "x".repeat(4_000));
    for id in 1..=messages + WINDOW {
        if id > WINDOW {
            match loud.next(SOON) {
                Next::Packet(packet) => assert_eq!(packet.kind(), wire::PUBACK),
                Next::Closed => return id - WINDOW - 1,
                Next::Silence => panic!("no ack of message {}", id - WINDOW),
            }
        }
        if id <= messages {
            loud.send(&publish(V4, "risky/loud", &junk).qos(1, id).encode());
        }
    }
    messages
}

#[test]
fn a_flood_of_refused_messages_of_one_device_leaves_the_letters_of_another_also_over_a_kill() {
    const FLOOD: u16 = 2_500;
    let binding = RISKY.replace("vices.wasm\"", "threshold.wasm\"\nconfig = { min = 0 }");
    let home = Arc::new(Home::new(&format!(
        "[dead_letters]\nmax_bytes = \"4MiB\"\n{binding}retry = {{ attempts = 1 }}\n\
         breaker = {{ faults = 10000, within = \"1ms\" }}\nto = [{{ local = true, topic = \"out\" }}]\n"
    )));
    let gateway = Gateway::launch(&home, &Launch::failing("archive.carried=return"));
    let mut quiet = Raw::clean(gateway.address(), V4, "quiet");
    for number in 1..=3 {
        quiet.publish("risky/quiet", &format!("no number {number}"), 1);
    }
    gateway.expect_letters(3);
    assert!(flood(&gateway, FLOOD) < FLOOD, "it dies when it takes letters along");
    assert!(!gateway.wait_for_end().success());

    let gateway = Gateway::launch(&home, &Launch::default());
    assert_eq!(flood(&gateway, FLOOD), FLOOD);
    gateway.expect_count("dead_letters_archived", usize::from(FLOOD));
    let letters = letters(&gateway);
    let of = |client: &str| letters.iter().filter(|letter| letter["facts"]["client"] == client).count();
    assert!(of("loud") < usize::from(FLOOD), "the archive was too small for all of them");
    assert_eq!(of("quiet"), 3, "of {} letters", letters.len());
    gateway.stop();
}
