//! Bindings and plugins: messages go on, in order, and plugins remember.

use tidegate_tests::gateway::Gateway;
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::V5;

use super::*;

/// A listener to all that comes out, and a device.
fn local(config: &str) -> (Gateway, Raw, Raw) {
    let gateway = Gateway::start(config);
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("out/#", 0);
    let device = Raw::clean(gateway.address(), V5, "device");
    (gateway, listener, device)
}

fn binding(name: &str, topic: &str, plugins: &str, to: &str) -> String {
    format!(
        "[[bindings]]\nname = \"{name}\"\ntopic = \"{topic}\"\nplugins = [{plugins}]\nto = [{{ local = true, topic = \"{to}\" }}]\n"
    )
}

fn next(listener: &mut Raw) -> (String, String) {
    let delivered = listener.expect_delivery();
    (delivered.topic, delivered.payload)
}

fn said(topic: &str, payload: &str) -> (String, String) {
    (topic.to_owned(), payload.to_owned())
}

#[test]
fn bindings_come_go_and_lead_elsewhere() {
    let first = binding("first", "in", "", "out/first");
    let (gateway, mut listener, mut device) = local(&first);
    device.publish("in", "1", 1);
    assert_eq!(next(&mut listener), said("out/first", "1"));
    // The topic moves to another one, which stands before it.
    write(
        &gateway,
        &format!("{}{}", binding("second", "in", "", "out/second"), binding("first", "other", "", "out/first")),
    );
    let report = reload(&gateway);
    assert!(report.contains("changed: binding second: added") && report.contains("changed: binding first"), "{report}");
    device.publish("in", "2", 2);
    device.publish("other", "3", 2);
    assert_eq!([next(&mut listener), next(&mut listener)], [said("out/second", "2"), said("out/first", "3")]);
    write(&gateway, &first);
    reload(&gateway);
    device.publish("other", "4", 1);
    device.publish("in", "5", 1);
    assert_eq!(next(&mut listener), said("out/first", "5"));
    let counters = gateway.stop();
    assert_eq!(counters["acknowledged_lost"], 0);
}

fn scaled(factor: &str) -> String {
    format!(
        "[plugins.scaled]\ncomponent = \"plugins/convert.wasm\"\nconfig = {{ fields = [{{ path = \"/n\", scale = {factor}, decimals = 0 }}] }}\n"
    )
}

#[test]
fn a_plugin_has_another_configuration_and_a_binding_gets_plugins_and_loses_them() {
    let with = |factor: &str| format!("{}{}", scaled(factor), binding("b", "in", "\"scaled\"", "out/b"));
    let (gateway, mut listener, mut device) = local(&binding("b", "in", "", "out/b"));
    let mut expect = |config: &str, payload: &str| {
        write(&gateway, config);
        reload(&gateway);
        device.publish("in", r#"{"n":10}"#, 1);
        assert_eq!(next(&mut listener), said("out/b", payload), "{config}");
    };
    expect(&with("2.0"), r#"{"n":20}"#);
    expect(&with("3.0"), r#"{"n":30}"#);
    expect(&binding("b", "in", "", "out/b"), r#"{"n":10}"#);
    expect(&with("4.0"), r#"{"n":40}"#);
    let report = reload(&gateway);
    assert!(report.contains("nothing differs from what runs"), "{report}");
    gateway.stop();
}

#[test]
fn a_plugin_that_does_not_start_keeps_everything_as_it_was() {
    let with = |factor: &str, to: &str| format!("{}{}", scaled(factor), binding("b", "in", "\"scaled\"", to));
    let (gateway, mut listener, mut device) = local(&with("2.0", "out/b"));
    for (wrong, says) in [
        (with("\"much\"", "out/wrong"), "scale"),
        (with("2.0", "out/wrong").replace("convert.wasm", "missing.wasm"), "missing.wasm"),
    ] {
        write(&gateway, &wrong);
        let finished = reload_by_folder(&gateway);
        assert_eq!(finished.code, Some(78), "{finished:?}");
        assert!(finished.err.contains(says), "{says}: {finished:?}");
        device.publish("in", r#"{"n":10}"#, 1);
        assert_eq!(next(&mut listener), said("out/b", r#"{"n":20}"#));
    }
    gateway.stop();
}

#[test]
fn a_binding_that_is_stopped_goes_on_when_a_reload_brings_a_plugin_that_starts() {
    let with = |factor: &str| format!("{}{}", scaled(factor), binding("b", "in", "\"scaled\"", "out/b"));
    let (gateway, mut listener, mut device) = local(&with("\"much\""));
    gateway.expect_log(&["this binding is stopped"]);
    device.send(&tidegate_tests::wire::publish(V5, "in", r#"{"n":10}"#).qos(1, 9).encode());
    write(&gateway, &with("2.0"));
    reload(&gateway);
    assert_eq!(next(&mut listener), said("out/b", r#"{"n":20}"#));
    device.expect(tidegate_tests::wire::PUBACK);
    let status = gateway.home().tidegate("status", &[]).out;
    assert!(!status.contains("stopped"), "{status}");
    gateway.stop();
}

#[test]
fn another_file_in_the_place_of_a_component_is_noticed() {
    let with =
        "[plugins.p]\ncomponent = \"p.wasm\"\nconfig = { fields = [{ path = \"/n\", scale = 2.0, decimals = 0 }] }\n";
    let config = format!("{with}{}", binding("b", "in", "\"p\"", "out/b"));
    let home = std::sync::Arc::new(tidegate_tests::gateway::Home::new(&config));
    let put = |from: &str| {
        let (new, path) = (home.path().join("new.wasm"), home.path().join("p.wasm"));
        std::fs::copy(home.path().join("plugins").join(from), &new).expect("a built plugin");
        std::fs::rename(new, path).expect("in one folder");
    };
    put("convert.wasm");
    let gateway = Gateway::launch(&home, &tidegate_tests::gateway::Launch::default());
    gateway.expect_plugins();
    assert!(reload(&gateway).contains("nothing differs"));
    // One that does not take this configuration.
    put("threshold.wasm");
    assert_eq!(try_reload(&gateway, &[]).code, Some(78));
    put("convert.wasm");
    assert!(reload(&gateway).contains("nothing differs"));
    gateway.stop();
}

const COUNTING: &str = "[plugins.counting]\ncomponent = \"plugins/counting.wasm\"\n";

#[test]
fn what_plugins_remember_goes_on_over_reloads_and_when_a_binding_comes_back() {
    let count = |deadline: &str| {
        format!(
            "{COUNTING}limits = {{ deadline = \"{deadline}\" }}\n{}",
            binding("count", "in", "\"counting\"", "out/count")
        )
    };
    let (mut gateway, mut listener, mut device) = local(&count("5s"));
    let mut asked = 0;
    let mut ask = |listener: &mut Raw, device: &mut Raw| {
        asked += 1;
        device.publish("in", "how many", 1);
        assert_eq!(next(listener).1, asked.to_string());
    };
    ask(&mut listener, &mut device);
    for config in [count("6s"), count("5s"), binding("other", "other", "", "out/other"), count("7s")] {
        write(&gateway, &config);
        reload(&gateway);
        if config.contains("counting") {
            ask(&mut listener, &mut device);
        }
    }
    gateway.crash();
    let mut listener = Raw::clean(gateway.address(), V5, "listener");
    listener.subscribe("out/#", 0);
    ask(&mut listener, &mut Raw::clean(gateway.address(), V5, "device"));
    gateway.stop();
}
