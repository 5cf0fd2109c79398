//! What a good file means.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = include_str!("../../../examples/gateway.toml");

/// A folder in which the example's paths lead somewhere.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("target/plugins")).unwrap();
    fs::write(root.path().join("target/plugins/threshold.wasm"), "stands for a component").unwrap();
    let base = root.path().join("host/examples");
    fs::create_dir_all(&base).unwrap();
    (root, base)
}

fn example(text: &str) -> Config {
    let (_root, base) = folder();
    parse(text, "gateway.toml", &base).unwrap()
}

/// The example with each setting that stands behind a `#` in force.
fn uncommented() -> String {
    let setting = |line: &str| line.strip_prefix('#').is_some_and(|rest| rest.starts_with(char::is_alphabetic));
    EXAMPLE.lines().map(|line| if setting(line) { &line[1..] } else { line }).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_example_is_accepted_without_a_warning() {
    assert!(example(EXAMPLE).warnings.is_empty());
}

#[test]
fn what_the_example_shows_as_default_is_the_default() {
    assert!(uncommented().lines().count() == EXAMPLE.lines().count() && uncommented() != EXAMPLE);
    let (root, base) = folder();
    let meaning = |text: &str| format!("{:#?}", parse(text, "gateway.toml", &base).unwrap());
    assert_eq!(meaning(&uncommented()), meaning(EXAMPLE));
    drop(root);
}

#[test]
fn the_example_says_what_it_means() {
    let config = example(EXAMPLE);
    let [binding] = config.bindings.as_slice() else { panic!("one binding") };
    assert_eq!(binding.plugins, [PluginId(0)]);
    assert_eq!(binding.filters.len(), 2);
    assert_eq!(binding.to[0].target, Target::Upstream(UpstreamId(0)));
    assert_eq!((binding.to[0].qos, binding.to[0].retain), (None, None));
    assert_eq!(binding.to[1].target, Target::Local);
    assert!(matches!(&binding.on_error, OnError::DeadLetter { topic } if topic.to_string().starts_with("$tidegate/")));

    let upstream = &config.upstreams[0];
    assert_eq!(upstream.to_string(), "mqtts://broker.example.com:8883");
    assert_eq!(upstream.failback, Duration::from_secs(60));
    assert!(upstream.tls.is_some());
    assert_eq!(upstream.client_id, "tidegate-plant7-gw1-cloud");
    // As a value: the order of keys depends on a feature of serde_json that other packages of the workspace turn on.
    let settings: serde_json::Value = serde_json::from_str(&config.plugins[0].config_json).unwrap();
    assert_eq!(settings, serde_json::json!({ "min": 0.0, "max": 40.0 }));
}

#[test]
fn sessions_are_as_many_as_their_budget_has_room_for_unless_their_number_is_set() {
    let sessions = |text: &str| example(text).broker.limits.max_sessions;
    let small = "[spool]\nmax_state_bytes = \"152MiB\"";
    assert_eq!(sessions(""), 8_192);
    // Of 152 MiB, 64 + 64 + 16 are for others.
    assert_eq!(sessions(small), 2_048);
    assert_eq!(sessions(&format!("{small}\n[broker.limits]\nmax_sessions = 1000")), 1_000);
}

#[test]
fn the_list_of_brokers_that_the_example_shows_is_one() {
    let shown = EXAMPLE.lines().find_map(|line| line.strip_prefix("#   url = ")).unwrap();
    let listed = example(&EXAMPLE.replace("url = \"mqtts://broker.example.com\"", &format!("url = {shown}")));
    assert_eq!(listed.upstreams[0].addresses.len(), 2, "{shown}");
}

#[test]
fn an_empty_file_is_a_broker_for_this_machine_only() {
    let config = parse("", "f", Path::new("/etc/tidegate")).unwrap();
    assert!(config.bindings.is_empty());
    assert_eq!(config.broker.listeners.len(), 1);
    assert_eq!(config.broker.listeners[0].bind.to_string(), "127.0.0.1:1883");
    assert_eq!(config.gateway.data_dir, Path::new("/etc/tidegate/tidegate-data"));
}

#[test]
fn references_are_resolved_in_the_order_of_the_file() {
    let (_root, base) = folder();
    let component = "component = \"../../target/plugins/threshold.wasm\"";
    let text = format!(
        "[plugins.z]\n{component}\n[plugins.a]\n{component}\n[upstreams.y]\nurl = \"mqtt://y\"\n\
         [upstreams.b]\nurl = \"mqtt://b\"\n[[bindings]]\nname = \"n\"\ntopic = \"t\"\nplugins = [\"a\", \"z\", \"a\"]\n\
         to = [{{ upstream = \"b\", qos = 0, retain = false }}, {{ upstream = \"y\" }}]"
    );
    let config = parse(&text, "f", &base).unwrap();
    let chain: Vec<&str> =
        config.bindings[0].plugins.iter().map(|id| id.of(&config.plugins).unwrap().name.as_str()).collect();
    assert_eq!(chain, ["a", "z", "a"]);
    let to = &config.bindings[0].to;
    assert_eq!((to[0].target, to[1].target), (Target::Upstream(UpstreamId(1)), Target::Upstream(UpstreamId(0))));
    assert_eq!((to[0].qos, to[0].retain), (Some(crate::message::QoS::AtMostOnce), Some(false)));
}

#[test]
fn units_are_read() {
    let text = "[broker.limits]\nhandshake_timeout = \"1m 30s\"\nmax_packet_size = \"2 MB\"";
    let limits = parse(text, "f", Path::new("")).unwrap().broker.limits;
    assert_eq!(limits.handshake_timeout, Duration::from_secs(90));
    assert_eq!(limits.max_packet_size, 2_000_000);
}

#[test]
fn a_plugins_table_becomes_json_of_the_same_shape() {
    let (_root, base) = folder();
    let text = "[plugins.p]\ncomponent = \"../../target/plugins/threshold.wasm\"\n[plugins.p.config]\n\
                hex = 0xff\nday = 1979-05-27\nlist = [1, { deep = true }]\ntext = \"\u{e9}\\n\"";
    let config = parse(text, "f", &base).unwrap();
    let json: serde_json::Value = serde_json::from_str(&config.plugins[0].config_json).unwrap();
    let expected =
        serde_json::json!({ "hex": 255, "day": "1979-05-27", "list": [1, { "deep": true }], "text": "\u{e9}\n" });
    assert_eq!(json, expected);
}

#[test]
fn a_renaming_chain_may_publish_below_a_level_of_its_own() {
    let (_root, base) = folder();
    let text = "[plugins.p]\ncomponent = \"../../target/plugins/threshold.wasm\"\n[[bindings]]\nname = \"n\"\n\
                topic = \"raw/#\"\nplugins = [\"p\"]\nto = [{ local = true, topic = \"clean/{topic}\" }]\n\
                [[bindings]]\nname = \"second\"\ntopic = \"clean/#\"\nto = [{ local = true, topic = \"done/{topic}\" }]";
    assert!(parse(text, "f", &base).is_ok());
}

#[test]
fn a_file_that_is_not_there_is_a_problem_that_names_it() {
    let problems = load(Path::new("no-such-folder/gateway.toml")).unwrap_err();
    assert!(problems.to_string().contains("no-such-folder/gateway.toml"), "{problems}");
}

proptest! {
    /// Reading and drawing survive any accident of typing, also between the bytes of carets.
    #[test]
    fn a_damaged_file_never_panics(cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, "[\\PC\n\"'\\[\\]{}=.,#]{0,3}"), 1..6)) {
        let mut characters: Vec<char> = uncommented().chars().collect();
        for (place, length, instead) in cuts {
            let start = place.index(characters.len());
            let end = (start + length).min(characters.len());
            characters.splice(start..end, instead.chars());
        }
        let text: String = characters.into_iter().collect();
        if let Err(problems) = parse(&text, "gateway.toml", Path::new("")) {
            prop_assert!(!problems.render(true).is_empty());
        }
    }
}
