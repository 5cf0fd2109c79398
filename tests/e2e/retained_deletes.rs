//! What a device deletes is deleted at the upstream as well, whatever plugins stand between them.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::mosquitto::Mosquitto;
use tidegate_tests::raw::Raw;
use tidegate_tests::sink::{Arrival, Sink};
use tidegate_tests::wire::{self, PUBACK, V4};

const PLUGINS: &str = r#"
    [plugins.threshold]
    component = "plugins/threshold.wasm"
    config = { field = "/c", max = 100.0 }
    [plugins.deadband]
    component = "plugins/deadband.wasm"
    config = { field = "/c", absolute = 1.0 }
    [plugins.convert]
    component = "plugins/convert.wasm"
    config = { fields = [{ path = "/c", scale = 2.0, decimals = 0 }] }
    [plugins.redact]
    component = "plugins/redact.wasm"
    config = { remove = ["/who"] }
    [plugins.rename]
    component = "plugins/rename.wasm"
    config = { rules = [{ from = "in/+x", to = "out/{x}" }] }
    [plugins.window]
    component = "plugins/window.wasm"
    config = { field = "/c" }
"#;

fn config(upstream: &str, plugins: &[&str]) -> String {
    format!(
        r#"
        [upstreams.cloud]
        url = "{upstream}"
        {PLUGINS}
        [[bindings]]
        name = "b"
        topic = "in/+"
        plugins = {plugins:?}
        to = [{{ upstream = "cloud" }}]
        "#
    )
}

fn publish_retained(device: &mut Raw, payload: &str) {
    device.send(&wire::publish(V4, "in/a", payload).qos(1, 1).retain().encode());
    device.expect(PUBACK);
}

fn arrived(arrival: &Arrival) -> (&str, &str, bool) {
    (arrival.topic.as_str(), arrival.payload.as_str(), arrival.retain)
}

/// What reaches the upstream of a reading, a delete and the same reading again, all retained.
fn reaches(plugins: &[&str], count: usize, check: impl FnOnce(&[Arrival])) {
    let upstream = Mosquitto::start();
    let sink = Sink::subscribe(upstream.address(), "#");
    let gateway = Gateway::start(&config(&format!("mqtt://{}", upstream.address()), plugins));
    let mut device = Raw::clean(gateway.address(), V4, "device");
    for payload in [r#"{"c":7,"who":"Ada"}"#, "", r#"{"c":7,"who":"Ada"}"#] {
        publish_retained(&mut device, payload);
    }
    check(&sink.wait_for(count));
    let counters = gateway.stop();
    assert_eq!((counters["failed"], counters["dead_lettered"]), (0, 0), "{plugins:?}");
}

#[test]
fn a_delete_reaches_the_upstream_through_each_plugin_that_reads_payloads() {
    reaches(&["threshold", "deadband", "convert", "redact"], 3, |arrivals| {
        let reading = ("in/a", r#"{"c":14}"#, true);
        assert_eq!(arrivals.iter().map(arrived).collect::<Vec<_>>(), [reading, ("in/a", "", true), reading]);
    });
}

#[test]
fn a_delete_follows_its_topic_under_the_new_name() {
    reaches(&["rename", "convert"], 3, |arrivals| assert_eq!(arrived(&arrivals[1]), ("out/a", "", true)));
}

#[test]
fn a_window_that_is_deleted_says_first_what_was_read() {
    reaches(&["window"], 2, |arrivals| {
        assert_eq!(arrivals[0].topic, "in/a/window");
        assert_eq!(arrived(&arrivals[1]), ("in/a", "", true));
    });
}
