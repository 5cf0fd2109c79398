//! Faults that say nothing: the connection is there, or seems to be, and nothing comes of it.

use std::time::Duration;

use tidegate_tests::chaos::Fault;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::upstream::Upstream;

use super::{Line, Load, WINDOW};

/// As short as the configuration allows it, so that the tests are.
const IMPATIENT: &str = "keep_alive = \"1s\"\nconnect_timeout = \"1s\"";

/// Two devices send through a line that has gone silent, and it comes back when the gateway has noticed.
fn goes_silent(fault: Fault) {
    let line = Line::to("cloud", Upstream::start());
    let gateway = Gateway::start(&line.config(5, IMPATIENT));
    let mut loads = [1, 2].map(|qos| Load::new(&gateway, "cloud", qos));
    loads.iter_mut().for_each(|load| load.send(30));
    line.upstream.wait_for(60);
    line.proxy.set(fault);
    loads.iter_mut().for_each(|load| load.send(30));
    gateway.expect_log(&["nothing heard from the upstream for 1.5"]);
    line.proxy.heal();
    for load in &loads {
        let verdict = line.judge(load);
        // A machine that is late by a keep-alive loses the connection once more, and each time may repeat a window. The log does
        // not tell each of them.
        let losses = line.proxy.connections().0.saturating_sub(1);
        verdict.assert_repeated_at_most(losses * WINDOW, 60);
    }
    gateway.expect_count("forwarded", 120);
    let counters = gateway.stop();
    assert_eq!((counters["forwarded"], counters["possible_duplicates"]), (120, 0));
}

#[test]
fn a_half_open_connection_is_noticed_after_one_and_a_half_keep_alives_and_costs_nothing() {
    goes_silent(Fault::HalfOpen);
}

#[test]
fn a_blackholed_connection_is_noticed_after_one_and_a_half_keep_alives_and_costs_nothing() {
    goes_silent(Fault::Blackhole);
}

#[test]
fn an_upstream_that_never_answers_connect_is_left_at_the_deadline_and_tried_again() {
    let line = Line::to("cloud", Upstream::start());
    line.proxy.set(Fault::Blackhole);
    let gateway = Gateway::start(&line.config(5, IMPATIENT));
    let mut load = Load::new(&gateway, "cloud", 2);
    load.send(30);
    gateway.expect_log(&["no connection within 1s"]);
    line.proxy.heal();
    line.judge(&load).assert_perfect(30);
    gateway.stop();
}

#[test]
fn an_upstream_that_never_answers_in_tls_is_left_at_the_deadline_and_tried_again() {
    let line = Line::to("cloud", Upstream::start());
    line.proxy.set(Fault::Blackhole);
    let gateway = Gateway::start(&line.config(5, IMPATIENT).replace("mqtt://", "mqtts://"));
    let mut load = Load::new(&gateway, "cloud", 1);
    load.send(30);
    gateway.expect_log(&["no connection within 1s"]);
    tidegate_tests::eventually::soon("a second try", || line.proxy.connections().0 >= 2);
    assert_eq!(gateway.stop()["waiting"], 30);
}

#[test]
fn a_slow_line_is_a_slow_line_and_no_reason_to_connect_again() {
    for fault in [Fault::Latency(Duration::from_millis(30)), Fault::Throttle(20_000), Fault::Split] {
        let line = Line::to("cloud", Upstream::start());
        line.proxy.set(fault);
        let gateway = Gateway::start(&line.config(5, "keep_alive = \"5s\""));
        for qos in [1, 2] {
            let mut load = Load::new(&gateway, "cloud", qos);
            load.send(50);
            line.judge(&load).assert_perfect(50);
        }
        assert_eq!(line.proxy.connections().0, 1, "{fault:?}");
        gateway.stop();
    }
}
