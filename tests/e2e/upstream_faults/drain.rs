//! After an outage: the backlog oldest first, and live traffic with it.

use tidegate_tests::chaos::Fault;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::upstream::Upstream;

use super::{Line, Load};

/// More than the head of a backlog that memory holds would matter for, and drained in some seconds by a debug build.
const BACKLOG: usize = 3_000;

#[test]
fn a_backlog_drains_oldest_first_while_live_messages_come_and_all_arrive() {
    let line = Line::to("cloud", Upstream::start());
    line.proxy.set(Fault::Refuse);
    // The default window: this is about speed, too.
    let config = line.config(5, "").replace("max_inflight = 10\n", "");
    let gateway = Gateway::start(&config);
    let mut old = [1, 2].map(|qos| Load::new(&gateway, "cloud", qos));
    old.iter_mut().for_each(|load| load.send(BACKLOG));

    line.proxy.heal();
    let mut live = Load::new(&gateway, "cloud/live", 1);
    // The live device is acknowledged while the backlog drains: it is not held back behind it.
    let mut during = 0;
    while line.upstream.count() < 2 * BACKLOG {
        live.send(10);
        during += 10;
    }
    live.send(10);
    line.judge(&live).assert_perfect(during + 10);
    old.iter().for_each(|load| line.judge(load).assert_perfect(BACKLOG));

    let arrivals = line.upstream.arrivals();
    let last_old = arrivals.iter().rposition(|arrival| !arrival.topic.contains("live"));
    let first_live = arrivals.iter().position(|arrival| arrival.topic.contains("live"));
    assert!(last_old < first_live, "oldest first: {first_live:?} came before {last_old:?}");
    assert_eq!(gateway.stop()["possible_duplicates"], 0);
}
