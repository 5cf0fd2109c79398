//! The connection is reset at every step of the QoS 1 and QoS 2 handshakes, in both protocol versions.
//!
//! One gateway serves all steps at once: each has an upstream, a proxy and a device of its own, so that the waits between
//! connections pass side by side.

use tidegate_tests::chaos::{Cut, Fault, Proxy};
use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::oracle::{Expected, Seen};
use tidegate_tests::sink::Sink;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::{PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL};

use super::{Line, Load, WINDOW, config};

const MESSAGES: usize = 30;

/// Deep in the stream: others are in flight around the packet.
const NTH: usize = 13;

struct Step {
    name: String,
    qos: u8,
    cut: Cut,
}

/// Before and after every packet of an exchange.
fn steps() -> Vec<Step> {
    let packets = [
        (1, PUBLISH, "publish"),
        (1, PUBACK, "puback"),
        (2, PUBLISH, "publish"),
        (2, PUBREC, "pubrec"),
        (2, PUBREL, "pubrel"),
        (2, PUBCOMP, "pubcomp"),
    ];
    let both = |(qos, kind, name): (u8, u8, &str)| {
        let step = |word: &str, cut| Step { name: format!("q{qos}-{word}-{name}"), qos, cut };
        [step("before", Cut::before(kind, NTH)), step("after", Cut::after(kind, NTH))]
    };
    packets.into_iter().flat_map(both).collect()
}

/// Sends through every line while it is cut.
fn drive<'a>(gateway: &Gateway, lines: impl Iterator<Item = (&'a Step, &'a Proxy)>) -> Vec<Load> {
    let cut = |(step, proxy): (&Step, &Proxy)| {
        let mut load = Load::new(gateway, &step.name, step.qos);
        proxy.set(Fault::Cut(step.cut));
        load.send(MESSAGES);
        load
    };
    lines.map(cut).collect()
}

/// Duplicates at QoS 2 that were found, and those that the gateway has owned up to.
fn reset_everywhere(protocol: u8, server: fn() -> Upstream) -> (usize, u64) {
    let lines: Vec<_> = steps().into_iter().map(|step| (Line::to(&step.name, server()), step)).collect();
    let config: String = lines.iter().map(|(line, _)| line.config(protocol, "")).collect();
    let gateway = Gateway::start(&config);
    let loads = drive(&gateway, lines.iter().map(|(line, step)| (step, &line.proxy)));
    let mut duplicated = 0;
    for ((line, step), load) in lines.iter().zip(&loads) {
        line.proxy.wait_for_cuts(1);
        let mut verdict = line.judge(load);
        duplicated += std::mem::take(&mut verdict.duplicated).len();
        assert!(verdict.repeated.len() <= WINDOW, "{}: {verdict:#?}", step.name);
        verdict.assert_repeated_at_most(WINDOW, MESSAGES);
    }
    gateway.expect_count("forwarded", steps().len() * MESSAGES);
    let counters = gateway.stop();
    assert_eq!(counters["forwarded"] as usize, steps().len() * MESSAGES);
    (duplicated, counters["possible_duplicates"])
}

#[test]
fn with_the_session_kept_a_reset_at_any_step_costs_nothing_in_3_1_1() {
    assert_eq!(reset_everywhere(4, Upstream::start), (0, 0));
}

#[test]
fn with_the_session_kept_a_reset_at_any_step_costs_nothing_in_5() {
    assert_eq!(reset_everywhere(5, Upstream::start), (0, 0));
}

#[test]
fn with_the_session_lost_nothing_is_lost_and_duplicates_are_owned_up_to_in_3_1_1() {
    let (duplicated, possible) = reset_everywhere(4, Upstream::forgetful);
    assert!(0 < duplicated && duplicated as u64 <= possible, "{duplicated} duplicates, {possible} possible");
}

#[test]
fn with_the_session_lost_nothing_is_lost_and_duplicates_are_owned_up_to_in_5() {
    let (duplicated, possible) = reset_everywhere(5, Upstream::forgetful);
    assert!(0 < duplicated && duplicated as u64 <= possible, "{duplicated} duplicates, {possible} possible");
}

/// One real broker behind all proxies: it keeps a session for each client id.
#[test]
fn a_real_mosquitto_agrees_in_both_versions() {
    let mosquitto = Mosquitto::start();
    let sink = Sink::subscribe(mosquitto.address(), "#");
    for protocol in [4, 5] {
        let lines: Vec<_> = steps().into_iter().map(|step| (Proxy::to(mosquitto.address()), step)).collect();
        let name = |step: &Step| format!("v{protocol}-{}", step.name);
        let lines: Vec<_> =
            lines.into_iter().map(|(proxy, step)| (proxy, Step { name: name(&step), ..step })).collect();
        let of = |(proxy, step): &(Proxy, Step)| config(&step.name, &proxy.upstream(&step.name, protocol), "");
        let gateway = Gateway::start(&lines.iter().map(of).collect::<String>());
        let loads = drive(&gateway, lines.iter().map(|(proxy, step)| (step, proxy)));
        for ((proxy, step), load) in lines.iter().zip(&loads) {
            proxy.wait_for_cuts(1);
            soon(&step.name, || load.oracle.judge(&heard(&sink, &step.name)).lost.is_empty());
            load.oracle.judge(&heard(&sink, &step.name)).assert_repeated_at_most(WINDOW, MESSAGES);
        }
        assert_eq!(gateway.stop()["possible_duplicates"], 0);
    }
}

fn heard(sink: &Sink, line: &str) -> Vec<Seen> {
    let arrivals = sink.arrivals().into_iter().filter(|arrival| arrival.topic.starts_with(&format!("{line}/")));
    arrivals
        .map(|a| Seen { id: a.id(), message: Expected { topic: a.topic, qos: a.qos, payload: a.payload } })
        .collect()
}
