//! An upstream with two urls: over to the second, back to the first, and never two connections of one client to one broker.

use tidegate_tests::chaos::{Direction, Fault};
use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::oracle::{Seen, Verdict};
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::{PUBACK, PUBCOMP};

use super::{Line, Load, WINDOW, config};

const CLIENT: &str = "tidegate-gw-cloud";

fn two() -> [Line; 2] {
    ["first", "second"].map(|name| Line::to(name, Upstream::start()))
}

fn start([first, second]: &[Line; 2], failback: &str) -> Gateway {
    let urls = [first, second].map(|line| format!("\"mqtt://{}\"", line.proxy.address())).join(", ");
    let upstream = format!("[upstreams.cloud]\nurl = [{urls}]\nclient_id = \"{CLIENT}\"\n");
    Gateway::start(&config("cloud", &upstream, &format!("failback = \"{failback}\"")))
}

/// What both have got together, in the order in which they were used.
fn judge([one, other]: [&Line; 2], load: &Load) -> Verdict {
    let seen = || -> Vec<Seen> { [one.seen(&load.topic), other.seen(&load.topic)].concat() };
    soon("all arrive at one of the two", || load.oracle.judge(&seen()).lost.is_empty());
    load.oracle.judge(&seen())
}

#[test]
fn when_the_first_broker_goes_in_the_middle_of_exchanges_the_second_gets_the_rest() {
    let lines = two();
    let [first, second] = &lines;
    let gateway = start(&lines, "1h");
    // QoS 2 first: it is the one that fills the window.
    let mut loads = [2, 1].map(|qos| Load::new(&gateway, "cloud", qos));
    loads.iter_mut().for_each(|load| load.send(50));
    let passed = |kind| first.proxy.passed(Direction::Down, kind);
    soon("these exchanges are over", || (passed(PUBACK), passed(PUBCOMP)) == (50, 50));
    first.upstream.hold_acks(true);
    loads.iter_mut().for_each(|load| load.send(50));
    soon("exchanges are open", || first.upstream.count() > 100);
    first.proxy.set(Fault::Refuse);
    gateway.expect_log(&["connected", &format!("url=mqtt://{}", second.proxy.address())]);
    let mut duplicated = 0;
    for load in &loads {
        let mut verdict = judge([first, second], load);
        duplicated += std::mem::take(&mut verdict.duplicated).len() as u64;
        verdict.assert_repeated_at_most(WINDOW, 100);
    }
    assert_eq!((first.upstream.takeovers(), second.upstream.takeovers()), (0, 0));
    let possible = gateway.stop()["possible_duplicates"];
    assert!(0 < duplicated && duplicated <= possible, "{duplicated} duplicates, {possible} possible");
}

#[test]
fn the_first_broker_is_gone_back_to_without_a_loss_or_a_duplicate() {
    let lines = two();
    let [first, second] = &lines;
    first.proxy.set(Fault::Refuse);
    let gateway = start(&lines, "1s");
    let mut loads = [1, 2].map(|qos| Load::new(&gateway, "cloud", qos));
    loads.iter_mut().for_each(|load| load.send(50));
    second.upstream.wait_for(100);
    first.proxy.heal();
    // Under load: what is in flight at the second comes to its end there.
    while first.upstream.connects(CLIENT) == 0 {
        loads.iter_mut().for_each(|load| load.send(10));
    }
    gateway.expect_log(&["going back"]);
    loads.iter_mut().for_each(|load| load.send(50));
    loads.iter().for_each(|load| judge([second, first], load).assert_perfect(100));
    assert!(first.upstream.count() >= 100);
    assert_eq!((first.upstream.takeovers(), second.upstream.takeovers()), (0, 0));
    // The gateway has left before it went; the server hears of it a moment later.
    soon("one connection at a time", || second.upstream.clients().is_empty());
    assert_eq!(gateway.stop()["possible_duplicates"], 0);
}
