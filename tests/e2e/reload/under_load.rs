//! Many reloads under load cost nobody anything.

use std::time::{Duration, Instant};

use tidegate_tests::gateway::Launch;
use tidegate_tests::raw::Raw;
use tidegate_tests::trial::{Load, Trial};
use tidegate_tests::wire::V5;

use super::pause::Metronome;
use super::*;

const RELOADS: usize = 100;

/// Of QoS 0, around each reload.
const MORE: usize = 20;

/// Each of these is different from the one before: rules for everybody, limits, a listener that comes and goes, `$SYS`.
fn variant(number: usize) -> String {
    let rules = "[[access.rules]]\npublish = [\"#\"]\nsubscribe = [\"#\"]\n";
    match number % 4 {
        0 => rules.to_owned(),
        1 => "[broker.listeners.extra]\nbind = \"127.0.0.1:0\"\n".to_owned(),
        2 => "[broker]\nsys_interval = \"1s\"\n[broker.limits]\nmax_subscriptions_per_client = 500\n".to_owned(),
        _ => format!("{rules}[broker.limits]\nhandshake_timeout = \"20s\"\n"),
    }
}

/// The binding of the load with the same plugin under other limits, called in another way, and with another binding before it.
fn chain(config: &str, number: usize) -> String {
    let other = "[[bindings]]\nname = \"other\"\ntopic = \"other/#\"\nto = [{ local = true, topic = \"elsewhere\" }]\n[[bindings]]";
    match number % 3 {
        0 => config.replace("deadline = \"10s\"", "deadline = \"11s\""),
        1 => config.replace("plugins = [", "retry = { attempts = 2 }\nplugins = ["),
        _ => config.replace("[[bindings]]", other),
    }
}

/// The longest wait for an acknowledgement during a reload, against the one in as long a time without.
const MOST_PAUSE: u32 = 20;

#[test]
fn a_hundred_reloads_lose_nothing_repeat_nothing_end_no_connection_and_hold_nobody_up() {
    let load = Load { devices: 3, qos: vec![1, 2], pause: Duration::from_millis(2), ..Load::default() };
    let mut trial = Trial::new(&load);
    trial.start(&Launch::default());
    let address = trial.running().address();
    let (mut panel, mut sensor) = (Raw::clean(address, V5, "q0 panel"), Raw::clean(address, V5, "q0 sensor"));
    panel.subscribe("zero/#", 0);
    let metronome = Metronome::start(address, "q1 metronome", "beat/t");
    let config = std::fs::read_to_string(trial.home.path().join("gateway.toml")).expect("its configuration");
    let (mut busy, mut calm) = (Vec::new(), Vec::new());
    for number in 0..RELOADS {
        trial.fleet.wait_for_more(20);
        (0..MORE).for_each(|more| sensor.publish("zero/t", &(number * MORE + more).to_string(), 0));
        let gateway = trial.running();
        write_exactly(gateway, &format!("{}\n{}", chain(&config, number), variant(number)));
        let begun = Instant::now();
        let said = reload(gateway);
        let ended = Instant::now();
        assert!(said.starts_with("changed: ") && !said.contains("needs a restart"), "{number}: {said}");
        busy.push((begun, ended));
        std::thread::sleep(ended - begun);
        calm.push((ended, Instant::now()));
        for more in 0..MORE {
            assert_eq!(panel.expect_delivery().payload, (number * MORE + more).to_string());
        }
    }
    trial.fleet.wait_for_more(20);
    let beats = metronome.stop();
    let (during, otherwise) = (beats.usual_worst(&busy), beats.usual_worst(&calm));
    assert!(during <= otherwise * MOST_PAUSE, "{during:?} during a reload, {otherwise:?} without");
    let (devices, log) = (trial.fleet.len() + 3, trial.running().log().clone());
    assert_eq!(log.count(|line| line.contains(": connected ") && line.contains("client=\"q")), devices);
    assert_eq!(log.count(|line| line.contains(": disconnected ")), 0);
    trial.judge().assert_kept(RELOADS * 20);
}
