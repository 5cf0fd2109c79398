//! Several upstreams read the same log, each at its own place in it.

use tidegate_tests::chaos::Fault;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::oracle::Oracle;
use tidegate_tests::upstream::Upstream;

use super::{Line, Load, WINDOW};

/// Everything below `load` goes to both.
fn both(lines: &[Line]) -> String {
    let upstreams: String =
        lines.iter().map(|line| format!("{}max_inflight = {WINDOW}\n\n", line.proxy.upstream(&line.name, 5))).collect();
    let to: Vec<String> = lines.iter().map(|line| format!("{{ upstream = \"{}\" }}", line.name)).collect();
    format!("{upstreams}[[bindings]]\nname = \"both\"\ntopic = \"load/#\"\nto = [{}]\n", to.join(", "))
}

#[test]
fn one_upstream_is_away_the_other_keeps_flowing_and_each_gets_everything_in_order() {
    let lines = ["near", "far"].map(|name| Line::to(name, Upstream::start()));
    let [near, far] = &lines;
    far.proxy.set(Fault::Refuse);
    let gateway = Gateway::start(&both(&lines));
    let mut loads = [1, 2].map(|qos| Load::new(&gateway, "load", qos));
    for _ in 0..3 {
        loads.iter_mut().for_each(|load| load.send(100));
        loads.iter().for_each(|load| near.judge(load).assert_perfect(100));
    }
    assert_eq!(far.upstream.count(), 0);

    far.proxy.heal();
    near.proxy.set(Fault::Refuse);
    loads.iter_mut().for_each(|load| load.send(100));
    loads.iter().for_each(|load| far.judge(load).assert_perfect(400));
    near.proxy.heal();
    loads.iter().for_each(|load| near.judge(load).assert_repeated_at_most(WINDOW, 400));
    let obligations: usize = loads.iter().map(|load| Oracle::obligations(&load.oracle)).sum();
    gateway.expect_count("forwarded", 2 * obligations);
    let counters = gateway.stop();
    assert_eq!((counters["forwarded"] as usize, counters["possible_duplicates"]), (2 * obligations, 0));
}
