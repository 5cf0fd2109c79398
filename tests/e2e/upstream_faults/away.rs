//! Faults that say no: nobody listens, or every connection is reset.

use tidegate_tests::chaos::{Direction, Fault};
use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::PUBLISH;

use super::{Line, Load, WINDOW};

#[test]
fn an_upstream_that_refuses_connections_gets_everything_when_it_does_not() {
    let line = Line::to("cloud", Upstream::start());
    line.proxy.set(Fault::Refuse);
    let gateway = Gateway::start(&line.config(5, ""));
    let mut loads = [1, 2].map(|qos| Load::new(&gateway, "cloud", qos));
    loads.iter_mut().for_each(|load| load.send(50));
    gateway.expect_log(&["cannot connect", "Connection refused"]);
    line.proxy.heal();
    loads.iter().for_each(|load| line.judge(load).assert_perfect(50));
    gateway.stop();
}

#[test]
fn an_upstream_that_resets_every_connection_gets_everything_when_it_does_not() {
    let line = Line::to("cloud", Upstream::start());
    let gateway = Gateway::start(&line.config(4, ""));
    let mut loads = [1, 2].map(|qos| Load::new(&gateway, "cloud", qos));
    loads.iter_mut().for_each(|load| load.send(20));
    line.proxy.set(Fault::Reset);
    loads.iter_mut().for_each(|load| load.send(50));
    let (before, _) = line.proxy.connections();
    soon("two more tries", || line.proxy.connections().0 >= before + 2);
    line.proxy.heal();
    loads.iter().for_each(|load| line.judge(load).assert_repeated_at_most(WINDOW, 70));
    assert_eq!(gateway.stop()["possible_duplicates"], 0);
}

#[test]
fn a_line_that_breaks_within_packets_loses_none() {
    let line = Line::to("cloud", Upstream::start());
    let gateway = Gateway::start(&line.config(5, ""));
    let mut load = Load::new(&gateway, "cloud", 2);
    for (number, bytes) in [5, 99, 301].into_iter().enumerate() {
        line.proxy.set(Fault::CutAfter { direction: Direction::Up, bytes });
        load.send(30);
        line.proxy.wait_for_cuts(number + 1);
        line.judge(&load).assert_perfect(30 * (number + 1));
    }
    assert!(line.proxy.passed(Direction::Up, PUBLISH) >= 90);
    assert_eq!(gateway.stop()["possible_duplicates"], 0);
}
