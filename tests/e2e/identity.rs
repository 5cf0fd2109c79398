//! Several gateways at one broker: from one configuration, from one card, and under one client id by mistake.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_tests::driver::{Driver, payload_of};
use tidegate_tests::eventually::{eventually, soon};
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::oracle::Oracle;
use tidegate_tests::raw::Raw;
use tidegate_tests::sink::{Arrival, Sink};
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::V5;

/// After so long without an arrival, what is missing is lost. Longer than any wait of the two between connections.
const QUIET: Duration = Duration::from_secs(30);

/// All of `load/#` goes upstream.
const BINDING: &str = "[[bindings]]\nname = \"all\"\ntopic = \"load/#\"\nto = [{ upstream = \"cloud\" }]\n";

fn unchanged(topic: &str, id: &str, number: usize) -> (String, String) {
    (topic.to_owned(), payload_of(id, number))
}

/// A device that sends QoS 2 through this gateway.
fn device(gateway: &Gateway, name: &str) -> Driver {
    let raw = Raw::clean(gateway.address(), V5, name);
    Driver::new(raw, name, &format!("load/{name}"), 2, unchanged)
}

fn connected_as(gateway: &Gateway, upstream: &Upstream, clients: usize) {
    gateway.expect_log(&["connected upstream="]);
    soon(&format!("{clients} clients at the upstream"), || upstream.clients().len() == clients);
}

#[test]
fn two_gateways_of_one_configuration_are_two_clients() {
    let upstream = Upstream::start();
    let config = format!("{}\n{BINDING}", upstream.config(5));
    let gateways = [Gateway::start(&config), Gateway::start(&config)];
    gateways.iter().for_each(|gateway| connected_as(gateway, &upstream, 2));
    let mut oracle = Oracle::new();
    for (gateway, name) in gateways.iter().zip(["one", "two"]) {
        device(gateway, name).send(200, &mut oracle);
    }
    upstream.settle(&oracle);
    oracle.judge(&upstream.seen()).assert_perfect(400);
    assert_eq!(upstream.takeovers(), 0);
}

#[test]
fn a_copied_data_folder_is_recognised_and_is_another_client() {
    let upstream = Upstream::start();
    let config = format!("{}\n{BINDING}", upstream.config(5));
    let original = Gateway::start(&config);
    connected_as(&original, &upstream, 1);
    let mut oracle = Oracle::new();
    device(&original, "before").send(50, &mut oracle);
    upstream.settle(&oracle);
    let original = original.stop_and_keep();
    let copy = Arc::new(Home::new(&config));
    let [from, to] = [original.home().path().join("data/."), copy.path().join("data")];
    assert!(Command::new("cp").arg("-a").args([&from, &to]).status().is_ok_and(|status| status.success()));
    let original = original.start_again();
    let copy = Gateway::launch(&copy, &Launch::default());
    copy.expect_log(&["this data folder is a copy"]);
    [&original, &copy].into_iter().for_each(|gateway| connected_as(gateway, &upstream, 2));
    for (gateway, name) in [(&original, "original"), (&copy, "copy")] {
        device(gateway, name).send(200, &mut oracle);
    }
    upstream.settle(&oracle);
    oracle.judge(&upstream.seen()).assert_perfect(450);
    assert_eq!((upstream.takeovers(), original.log().count(|line| line.contains("is a copy"))), (0, 0));
}

#[test]
fn two_gateways_under_one_client_id_say_so_and_lose_nothing() {
    let upstream = Upstream::start();
    let config = format!("{}client_id = \"twin\"\n{BINDING}", upstream.config(5));
    let gateways = [Gateway::start(&config), Gateway::start(&config)];
    let mut oracle = Oracle::new();
    let mut devices = [device(&gateways[0], "one"), device(&gateways[1], "two")];
    let said = |gateway: &Gateway| gateway.log().count(|line| line.contains("another client uses our client id"));
    soon("both say it", || {
        devices.iter_mut().for_each(|device| device.send(10, &mut oracle));
        gateways.iter().all(|gateway| said(gateway) > 0)
    });
    upstream.settle(&oracle);
    let verdict = oracle.judge(&upstream.seen());
    assert!(verdict.lost.is_empty() && verdict.obligations >= 20, "{verdict:#?}");
    let status = gateways[0].home().tidegate("status", &["--format", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap_or_default();
    assert!(status["upstreams"][0]["taken_over"].as_u64() >= Some(3), "{status}");
}

#[test]
fn at_a_broker_that_closes_without_a_word_the_two_say_what_it_means() {
    let broker = Mosquitto::start();
    let config = format!("{}client_id = \"twin\"\n{BINDING}", broker.upstream("cloud", 4));
    let gateways = [Gateway::start(&config), Gateway::start(&config)];
    gateways.iter().for_each(|gateway| gateway.expect_log(&["another client uses our client id", "twin"]));
}

/// Both send QoS 2 all the time, until they have met and long after.
fn twins_at_a_broker_that_tells_nothing(protocol: u8) {
    const EACH: usize = 2_000;
    let broker = Mosquitto::start();
    let sink = Sink::subscribe(broker.address(), "load/#");
    let config = format!("{}client_id = \"twin\"\n{BINDING}", broker.upstream("cloud", protocol));
    let gateways = [Gateway::start(&config), Gateway::start(&config)];
    let mut oracle = Oracle::new();
    let mut devices = [device(&gateways[0], "one"), device(&gateways[1], "two")];
    for _ in 0..EACH / 20 {
        devices.iter_mut().for_each(|device| device.send(20, &mut oracle));
        std::thread::sleep(Duration::from_millis(100));
    }
    let missing = || {
        let arrived: BTreeSet<String> = sink.arrivals().iter().map(Arrival::id).collect();
        oracle.owed().filter(|id| !arrived.contains(*id)).count()
    };
    let (mut left, mut since) = (missing(), Instant::now());
    eventually("all arrive, or nothing does any more", 20 * QUIET, || {
        let now = missing();
        if now < left {
            (left, since) = (now, Instant::now());
        }
        (left == 0 || since.elapsed() > QUIET).then_some(())
    });
    assert_eq!((oracle.obligations(), left), (2 * EACH, 0), "acknowledged, and lost");
    for gateway in &gateways {
        gateway.expect_log(&["another client uses our client id", "twin"]);
    }
    // They count what may have arrived twice, and stop with that in their balance.
    gateways.into_iter().for_each(|gateway| assert_eq!(gateway.stop()["acknowledged_lost"], 0));
}

#[test]
fn two_gateways_under_one_client_id_lose_nothing_at_a_broker_of_3_1_1() {
    twins_at_a_broker_that_tells_nothing(4);
}

#[test]
fn two_gateways_under_one_client_id_lose_nothing_at_a_broker_of_5_that_tells_nothing() {
    twins_at_a_broker_that_tells_nothing(5);
}
