//! Which session it is at the upstream: one that is lost is counted, and what was begun in it is not taken for something of the next.

use tidegate_tests::commander::Commander;
use tidegate_tests::doors::Dial;
use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::stubborn::Habits;
use tidegate_tests::upstream::Upstream;
use tidegate_tests::wire::{V4, V5};

const BINDING: &str = r#"
[[bindings]]
name = "down"
from = "commands"
topic = "load/#"
to = [{ upstream = "cloud", topic = "up/{topic}" }]
"#;

fn as_it_is(topic: &str, id: &str, number: usize) -> (String, String) {
    (format!("up/{topic}"), format!(r#"{{"id":"{id}","n":{number}}}"#))
}

#[test]
fn a_session_that_the_upstream_has_lost_is_counted_and_its_identifiers_mean_nothing_in_the_next() {
    for version in [V5, V4] {
        let (name, topic, dial) = ("command".to_owned(), "load/command".to_owned(), Dial::default());
        let commander = Commander::start(Habits { name, topic, qos: 2, version, padding: 0, expect: as_it_is, dial });
        let sink = Upstream::start();
        let subscribed = commander.config("commands", r#"[{ filter = "load/#", qos = 2 }]"#);
        let gateway = Gateway::start(&format!("{}{subscribed}{BINDING}", sink.config(5)));
        commander.wait_for_more(50);
        for lost in 1..=3 {
            commander.forget();
            commander.wait_for_more(50);
            assert_eq!(commander.subscribes(), 1 + lost, "asked for again in each session");
        }
        let oracle = commander.finish();
        sink.settle(&oracle);
        gateway.expect_log_times(3, &["a new session begins at the upstream"]);
        let counters = gateway.stop();
        assert_eq!(counters["subscriptions_lost"], 3, "{version:?}");
        // What was sent and not acknowledged in a session that is lost may have come through, or not; nothing twice.
        oracle.judge(&sink.seen()).assert_perfect(200);
    }
}

#[test]
fn what_is_not_acknowledged_when_the_gateway_stops_comes_again_to_the_next_one() {
    let (name, topic, dial) = ("command".to_owned(), "load/command".to_owned(), Dial::default());
    let commander = Commander::start(Habits { name, topic, qos: 2, version: V5, padding: 0, expect: as_it_is, dial });
    let sink = Upstream::start();
    let subscribed = commander.config("commands", r#"[{ filter = "load/#", qos = 2 }]"#);
    let mut gateway = Gateway::start(&format!("{}{subscribed}{BINDING}", sink.config(5)));
    for _ in 0..3 {
        commander.wait_for_more(30);
        gateway = gateway.stop_and_keep().start_again();
    }
    commander.wait_for_more(30);
    let oracle = commander.finish();
    sink.settle(&oracle);
    soon("all of it is forwarded", || sink.count() >= oracle.obligations());
    gateway.stop();
    oracle.judge(&sink.seen()).assert_perfect(120);
}
