//! Whether there is room, and what is said when there is none.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, Connect, V4, V5};

use super::disk_faults::{injecting, skipped};

/// Where `up/#` goes; everything else stays here.
const BINDING: &str = "[[bindings]]\nname = \"up\"\ntopic = \"up/#\"\nto = [{ upstream = \"cloud\" }]\n";
const SMALL: &str = "[spool]\nmax_bytes = \"16MiB\"\n\n";

/// Longer than a sync of a disk that works.
const NO_ANSWER: Duration = Duration::from_secs(2);

fn home(spool: &str, upstream: &Mosquitto) -> Arc<Home> {
    Arc::new(Home::new(&format!("{spool}{}{BINDING}", upstream.upstream("cloud", 5))))
}

/// Whether PUBACK came.
fn is_acked(device: &mut Raw, id: u16, topic: &str, bytes: usize, retain: bool) -> bool {
    let publish = wire::publish(V5, topic, vec![b'x'; bytes]).qos(1, id);
    device.send(&if retain { publish.retain() } else { publish }.encode());
    matches!(device.next(NO_ANSWER), Next::Packet(_))
}

/// Sends until nothing is acknowledged any more; how many were.
fn fill(gateway: &Gateway) -> usize {
    let mut device = Raw::clean(gateway.address(), V5, "filler");
    (1..2_000).take_while(|id| is_acked(&mut device, *id, "up/x", 100_000, false)).count()
}

fn held(gateway: &Gateway) -> Vec<Value> {
    let finished = gateway.home().tidegate("status", &["--format", "json"]);
    let status: Value = serde_json::from_str(&finished.out).expect("a status");
    status["held"].as_array().expect("a list").clone()
}

fn newest_segment(home: &Home) -> PathBuf {
    let files =
        fs::read_dir(home.path().join("data/spool")).expect("the spool").map(|entry| entry.expect("one").path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().expect("a segment")
}

#[test]
fn retained_messages_leave_the_spool_its_room_and_are_there_after_a_crash() {
    let away = Mosquitto::stopped();
    let mut gateway = Gateway::launch(&home(SMALL, &away), &Launch::default());
    let mut device = Raw::clean(gateway.address(), V5, "device");
    for id in 1..=150 {
        assert!(is_acked(&mut device, id, &format!("kept/{id}"), 100_000, true), "retained message {id}");
    }
    drop(device);
    let beside = fill(&gateway);
    assert!(beside >= 60, "{beside} messages of 100 kB beside 15 MB of retained ones, in 16 MiB");
    gateway.crash();
    let mut reader = Raw::clean(gateway.address(), V5, "reader");
    reader.subscribe("kept/#", 0);
    for _ in 1..=150 {
        assert_eq!(reader.expect_delivery().payload.len(), 100_000);
    }
}

#[test]
fn a_spool_without_room_says_why_in_status_and_log_and_a_lowered_limit_drains() {
    let mut upstream = Mosquitto::stopped();
    let home = home("[spool]\nmax_bytes = \"64MiB\"\n\n", &upstream);
    let gateway = Gateway::launch(&home, &Launch::default());
    assert!(held(&gateway).is_empty());
    let acked = fill(&gateway);
    let why = held(&gateway);
    assert!(why.len() == 1 && why[0]["reason"].as_str().is_some_and(|reason| reason.contains("full")), "{why:?}");
    assert!(why[0]["advice"].as_str().is_some_and(|advice| advice.contains("max_bytes")), "{why:?}");
    let text = gateway.home().tidegate("status", &[]).out;
    assert!(text.contains("devices are held back: the spool is full"), "{text}");
    gateway.expect_log(&["the spool is full", "devices are held back", "max_bytes"]);
    drop(gateway);

    let file = home.path().join("gateway.toml");
    let config = fs::read_to_string(&file).expect("a configuration").replace("64MiB", "16MiB");
    fs::write(&file, config).expect("a configuration");
    let gateway = Gateway::launch(&home, &Launch::default());
    gateway.expect_log(&["the spool is full", "limit"]);
    assert_eq!(held(&gateway).len(), 1);
    upstream.restart();
    gateway.expect_count("forwarded", acked);
    let mut device = Raw::clean(gateway.address(), V5, "late");
    device.publish("up/late", "there is room again", 1);
    tidegate_tests::eventually::soon("nobody is held back", || held(&gateway).is_empty());
}

#[test]
fn a_newest_segment_that_is_empty_is_told_by_verify_and_at_the_start() {
    let away = Mosquitto::stopped();
    let gateway = Gateway::launch(&home(SMALL, &away), &Launch::default());
    let mut device = Raw::clean(gateway.address(), V5, "device");
    (1..=50).for_each(|_| device.publish("up/x", "acknowledged", 1));
    let stopped = gateway.stop_and_keep();
    fs::File::create(newest_segment(stopped.home())).expect("a segment");
    let verified = stopped.home().spool("verify", &[]);
    assert!(verified.code == Some(1) && verified.out.contains("spool: damaged"), "{verified:?}");
    let gateway = stopped.start_again();
    gateway.expect_log(&["the spool was damaged", "quarantined=1"]);
}

#[test]
fn a_disk_that_stalls_holds_neither_clean_connections_nor_qos_0_nor_a_stop() {
    let launch = match injecting("fdatasync:delay_enter=25000000:when=6+") {
        Ok(launch) => launch,
        Err(reason) => return skipped(&reason),
    };
    let away = Mosquitto::stopped();
    let gateway = Gateway::launch(&home(SMALL, &away), &launch);
    let mut device = Raw::clean(gateway.address(), V5, "device");
    let acked = (1..100).take_while(|id| is_acked(&mut device, *id, "up/x", 10, false)).count();
    assert!(acked < 99, "the disk has not stalled");

    let began = Instant::now();
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("local/#", 0);
    let mut talker = Raw::clean(gateway.address(), V4, "talker");
    talker.send(wire::PING);
    talker.expect(wire::PINGRESP);
    talker.publish("local/x", "QoS 0 flows", 0);
    assert_eq!(listener.expect_delivery().payload, "QoS 0 flows");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    // A session has to be written, and there is a time by which the device is told that it is not.
    let mut lasting = Raw::open(gateway.address(), V5);
    lasting.send(&Connect::new(V5, "lasting").persistent(600).encode());
    let said = lasting.expect_close();
    assert!(said.first().is_some_and(|connack| connack.reason() >= 0x80), "{said:?}");

    // A process ends when its last thread does, and strace keeps the one that syncs: what counts is when everything else is done.
    let began = Instant::now();
    let kill = Command::new("kill").args(["-TERM", &gateway.pid().to_string()]).status().expect("kill runs");
    assert!(kill.success());
    gateway.expect_log(&["stopped; counters", "=balanced"]);
    assert!(began.elapsed() < Duration::from_secs(12), "the stop took {:?}", began.elapsed());
    assert!(gateway.wait_for_end().success());
}
