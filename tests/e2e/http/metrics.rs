//! `/metrics`: everything is counted once, by names that Prometheus likes, and by no more of them than the configuration has parts.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::Gateway;
use tidegate_tests::http::{get, get_with};
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::process::{Finished, finish};
use tidegate_tests::raw::Raw;
use tidegate_tests::scrape::Scrape;
use tidegate_tests::wire::{V4, V5};

use super::HTTP;
use crate::dead_letters::RISKY;

/// A message may go to the upstream through a plugin, or fail in it; to two bindings; to nobody; to a local topic.
const BINDINGS: &str = r#"
to = [{ upstream = "cloud" }]
[[bindings]]
name = "plain"
topic = ["plain/#", "risky/both"]
to = [{ upstream = "cloud" }, { local = true, topic = "local/{topic}" }]
[[bindings]]
name = "dropping"
topic = "dropping/#"
plugins = ["vices"]
on_error = "drop"
to = [{ upstream = "cloud" }]
"#;

fn site(upstream: &Mosquitto) -> Gateway {
    Gateway::start(&format!("{HTTP}{}{RISKY}{BINDINGS}", upstream.upstream("cloud", 5)))
}

fn scrape(gateway: &Gateway) -> Scrape {
    let answer = get(gateway.http(), "/metrics");
    assert_eq!(
        (answer.status, answer.headers["content-type"].as_str()),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    Scrape::parse(&answer.body)
}

/// One message of each kind at each QoS: so many PUBLISH packets.
fn send(gateway: &Gateway, client: &str) -> f64 {
    let topics = ["plain/x", "risky/both", "risky/x", "dropping/x", "nobody/x"];
    let mut device = Raw::clean(gateway.address(), V5, client);
    for topic in topics {
        for qos in 0..=2 {
            device.publish(topic, if topic.ends_with("x") { "trap" } else { "pass" }, qos);
        }
    }
    device.leave();
    (3 * topics.len()) as f64
}

fn promtool(text: &str) -> Finished {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let mut check = Command::new("sh");
    check.args(["-c", "exec promtool check metrics < \"$0\""]).arg(file.path());
    finish("promtool check metrics", &mut check)
}

#[test]
fn the_accounting_law_holds_in_what_prometheus_sees() {
    let mut upstream = Mosquitto::stopped();
    let gateway = site(&upstream);
    let sent = send(&gateway, "first");
    // Nothing moves, and the upstream is away.
    soon("all is counted, and some of it waits", || {
        let seen = scrape(&gateway);
        seen.sum("tidegate_listener_received_total") == sent
            && seen.missing() == 0.0
            && seen.sum("tidegate_in_flight") == 0.0
    });
    let seen = scrape(&gateway);
    assert!(seen.sum("tidegate_spool_messages") > 0.0 && seen.sum("tidegate_upstream_connected") == 0.0);
    assert!(seen.sum("tidegate_upstream_oldest_unacked_seconds") > 0.0);
    upstream.restart();
    soon("the upstream has all of it", || {
        let seen = scrape(&gateway);
        seen.sum("tidegate_spool_messages") == 0.0 && seen.missing() == 0.0
    });
    let seen = scrape(&gateway);
    assert_eq!(seen.sum("tidegate_upstream_oldest_unacked_seconds"), 0.0);
    assert_eq!(seen.sum("tidegate_messages_lost_total"), 0.0);
    assert!(
        seen.sum("tidegate_binding_dead_lettered_total") >= 3.0 && seen.sum("tidegate_upstream_forwarded_total") >= 9.0
    );
    let calls = seen.get("tidegate_plugin_call_seconds_count{plugin=\"vices\"}");
    assert_eq!(calls, seen.get("tidegate_plugin_calls_total{plugin=\"vices\"}"));
    assert!(seen.sum("tidegate_spool_sync_seconds_count") > 0.0 && seen.sum("tidegate_spool_used_bytes") > 0.0);
    let counters = gateway.stop();
    assert_eq!(counters["received"], sent as u64);
}

#[test]
fn promtool_has_nothing_to_say_about_any_metric() {
    let upstream = Mosquitto::start();
    let gateway = site(&upstream);
    send(&gateway, "device");
    gateway.expect_letters(3);
    let text = get(gateway.http(), "/metrics").body;
    let checked = promtool(&text);
    assert!(checked.code == Some(0) && checked.err.is_empty() && checked.out.is_empty(), "{checked:?}\n{text}");
    // It can: this test would fail.
    assert_ne!(promtool("# TYPE a_total gauge\na_total 1\n").code, Some(0));
}

#[test]
fn every_metric_is_explained_with_its_type() {
    let upstream = Mosquitto::start();
    let gateway = site(&upstream);
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/watch.md")).unwrap();
    let text = get(gateway.http(), "/metrics").body;
    let types: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    assert!(types.len() > 100, "{text}");
    let explained = |(name, kind): &&(&str, &str)| page.contains(&format!("| `{name}` | {kind} | "));
    let missing: Vec<_> = types.iter().filter(|one| !explained(one)).collect();
    assert!(missing.is_empty(), "not in docs/watch.md: {missing:?}");
}

#[test]
fn open_metrics_says_the_same_to_who_asks_for_it() {
    let gateway = Gateway::start(HTTP);
    let plain = get(gateway.http(), "/metrics").body;
    let open = get_with(gateway.http(), "/metrics", "Accept: application/openmetrics-text;version=1.0.0\r\n");
    assert!(open.headers["content-type"].starts_with("application/openmetrics-text; version=1.0.0"), "{open:?}");
    assert!(open.body.ends_with("\n# EOF\n"));
    let (open, plain) = (Scrape::parse(&open.body), Scrape::parse(&plain));
    // Bounds are written in another way: `1e-06`, `0.000001`.
    let names = |scrape: &Scrape| -> BTreeSet<String> {
        scrape.series().iter().map(|series| series.split("le=").next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!((names(&open), open.series().len()), (names(&plain), plain.series().len()));
}

#[test]
fn devices_and_topics_add_no_metric() {
    let upstream = Mosquitto::start();
    let gateway = site(&upstream);
    send(&gateway, "first");
    gateway.expect_letters(3);
    let before = scrape(&gateway);
    let mut devices = Vec::new();
    for number in 0..100 {
        let client = format!("device-{number}");
        let mut device = Raw::clean(gateway.address(), if number % 2 == 0 { V4 } else { V5 }, &client);
        device.subscribe(&format!("own/{number}/#"), 1);
        device.publish(&format!("plain/{number}"), "x", 1);
        device.publish(&format!("own/{number}/x"), "x", 0);
        devices.push(device);
    }
    soon("they are seen", || scrape(&gateway).sum("tidegate_sessions_connected") == 100.0);
    let after = scrape(&gateway);
    let new: BTreeSet<_> = after.series().difference(&before.series()).copied().map(str::to_owned).collect();
    assert!(new.is_empty(), "{new:?}");
    let labels: BTreeSet<_> = after.series().iter().flat_map(|series| labels(series)).collect();
    let known = ["binding", "le", "listener", "plugin", "reason", "upstream", "version"].map(str::to_owned);
    assert_eq!(labels.iter().collect::<Vec<_>>(), known.iter().collect::<Vec<_>>());
}

/// Names of labels: no value in this test has a comma or a brace.
fn labels(series: &str) -> Vec<String> {
    let Some((_, labels)) = series.split_once('{') else { return Vec::new() };
    labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned())).collect()
}
