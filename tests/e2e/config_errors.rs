//! A bad configuration is refused whole: every problem at once, exit code 78, nothing started.

use std::fs;
use std::net::TcpListener;

use tidegate_tests::gateway::Home;
use tidegate_tests::process::Finished;

const EX_CONFIG: Option<i32> = Some(78);

/// Both commands refuse it for the same reasons.
fn refused(home: &Home) -> [Finished; 2] {
    let both = [home.tidegate("check", &["--offline"]), home.tidegate("run", &[])];
    for finished in &both {
        assert_eq!(finished.code, EX_CONFIG, "{finished:?}");
        assert!(!finished.err.contains("listening"), "something started: {finished:?}");
    }
    both
}

fn assert_says(finished: &Finished, words: &[&str]) {
    for word in words {
        assert!(finished.err.contains(word) || finished.out.contains(word), "no `{word}` in {finished:#?}");
    }
}

#[test]
fn every_problem_of_the_file_is_told_at_once() {
    let home = Home::new(
        r#"
        [upstreams.cloud]
        url = "http://broker"
        [[bindings]]
        name = "b"
        topic = "a/#/b"
        plugins = ["thresold"]
        to = [{ upstream = "clod" }]
        onn_error = "drop"
        "#,
    );
    for finished in refused(&home) {
        assert_says(&finished, &["http://broker", "a/#/b", "thresold", "clod", "`cloud`", "onn_error", "`on_error`"]);
    }
}

#[test]
fn a_loop_that_can_be_seen_is_refused() {
    let home = Home::new("[[bindings]]\nname = \"echo\"\ntopic = \"a/#\"\nto = [{ local = true }]\n");
    for finished in refused(&home) {
        assert_says(&finished, &["`echo`", "for ever"]);
    }
}

#[test]
fn an_open_address_has_to_be_allowed_in_words() {
    let home = Home::exactly("[broker.listeners.all]\nbind = \"0.0.0.0:0\"\n");
    for finished in refused(&home) {
        assert_says(&finished, &["0.0.0.0", "allow_insecure"]);
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let home = Home::new("");
    fs::remove_file(home.path().join("gateway.toml")).unwrap();
    for finished in refused(&home) {
        assert_says(&finished, &["gateway.toml"]);
    }
}

/// A binding that the gateway does not start without.
fn strict(plugin: &str) -> String {
    format!(
        "[[bindings]]\nname = \"{plugin}\"\ntopic = \"t\"\nplugins = [\"{plugin}\"]\non_start_failure = \"strict\"\n\
         to = [{{ local = true, topic = \"out\" }}]\n"
    )
}

/// A configuration with one plugin of this file.
fn with_component(name: &str, content: Option<&[u8]>) -> Home {
    let home = Home::new(&format!("{}[plugins.p]\ncomponent = \"{name}\"\n", strict("p")));
    if let Some(content) = content {
        fs::write(home.path().join(name), content).unwrap();
    }
    home
}

/// `(module)` and `(component)` in binary form: magic, version, layer.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
const EMPTY_COMPONENT: &[u8] = b"\0asm\x0D\0\x01\0";

/// The component's name, what is in it, and what must be said about it.
type Case = (&'static str, Option<&'static [u8]>, &'static [&'static str]);

#[test]
fn a_component_that_cannot_be_used_is_refused_by_name_and_with_advice() {
    let cases: [Case; 5] = [
        ("missing.wasm", None, &["missing.wasm", "tidegate plugin build"]),
        ("text.wasm", Some(b"no component at all"), &["text.wasm", "not WebAssembly"]),
        ("core.wasm", Some(CORE_MODULE), &["core.wasm", "core module", "wasm32-wasip2"]),
        ("empty.wasm", Some(EMPTY_COMPONENT), &["empty.wasm", "not a plugin"]),
        ("cut.wasm", Some(b"\0asm\x0D\0\x01\0\x07\x7F"), &["cut.wasm", "damaged"]),
    ];
    for (name, content, words) in cases {
        for finished in refused(&with_component(name, content)) {
            assert_says(&finished, words);
        }
    }
}

#[test]
fn a_component_of_another_contract_is_refused_with_both_versions() {
    for finished in refused(&with_component("old.wasm", Some(&component_that_imports("tidegate:plugin/log@0.9.0")))) {
        assert_says(&finished, &["old.wasm", "0.9.0", "0.1.0"]);
    }
}

#[test]
fn an_import_that_is_not_granted_is_refused_by_its_name() {
    for finished in refused(&with_component("net.wasm", Some(&component_that_imports("wasi:sockets/tcp@0.2.0")))) {
        assert_says(&finished, &["net.wasm", "wasi:sockets/tcp", "granted"]);
    }
}

#[test]
fn an_import_that_could_be_granted_is_refused_with_the_line_that_grants_it() {
    let component = component_that_imports("wasi:random/random@0.2.6");
    for finished in refused(&with_component("dice.wasm", Some(&component))) {
        assert_says(&finished, &["dice.wasm", "wasi:random/random", r#"grants = ["random"]"#]);
    }
    let home = with_component("dice.wasm", Some(&component));
    let config = fs::read_to_string(home.path().join("gateway.toml")).unwrap() + "grants = [\"random\"]\n";
    fs::write(home.path().join("gateway.toml"), config).unwrap();
    for finished in refused(&home) {
        assert_says(&finished, &["dice.wasm", "not a plugin"]);
    }
}

/// `(component (import NAME (instance)))`, by hand: a type section with an empty instance type, and its import.
fn component_that_imports(name: &str) -> Vec<u8> {
    let section = |id: u8, body: &[u8]| [&[id, body.len() as u8], body].concat();
    let types = section(7, &[1, 0x42, 0]);
    let import = [&[1, 0, name.len() as u8], name.as_bytes(), &[5, 0]].concat();
    [EMPTY_COMPONENT, &types, &section(10, &import)].concat()
}

#[test]
fn settings_that_a_plugin_does_not_take_are_refused_in_its_own_words() {
    let home = Home::new(
        &("[plugins.p]\ncomponent = \"plugins/threshold.wasm\"\nconfig = { minimum = 3 }\n".to_owned() + &strict("p")),
    );
    for finished in refused(&home) {
        assert_says(&finished, &["`p`", "minimum"]);
    }
}

#[test]
fn every_component_that_is_refused_is_told_at_once() {
    let plugin = |name: &str| format!("[plugins.{name}]\ncomponent = \"{name}.wasm\"\n{}", strict(name));
    let home = Home::new(&[plugin("one"), plugin("two")].concat());
    for name in ["one.wasm", "two.wasm"] {
        fs::write(home.path().join(name), CORE_MODULE).unwrap();
    }
    for finished in refused(&home) {
        assert_says(&finished, &["one.wasm", "two.wasm"]);
    }
}

#[test]
fn a_good_configuration_passes_the_check() {
    let home = Home::new("[plugins.p]\ncomponent = \"plugins/threshold.wasm\"\nconfig = { min = 3 }\n");
    let finished = home.tidegate("check", &["--offline"]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[test]
fn what_is_wrong_outside_of_the_file_is_told_once_and_at_its_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let bind = taken.local_addr().expect("it is bound");
    let home = Home::exactly(&format!(
        "[broker.listeners.field]\nbind = \"{bind}\"\n[plugins.p]\ncomponent = \"gone.wasm\"\n\
         [upstreams.cloud]\nurl = \"mqtt://127.0.0.1:1\"\n\
         [[bindings]]\nname = \"b\"\ntopic = \"t\"\nplugins = [\"p\"]\nto = [{{ upstream = \"cloud\" }}]\n"
    ));
    let finished = home.tidegate("check", &["--offline"]);
    assert_eq!(finished.code, EX_CONFIG, "{finished:?}");
    assert_says(
        &finished,
        &["gateway.toml:2:8", "listener `field`", "`ss -tlnp`", "gateway.toml:4:13", "gateway.toml: 2 errors"],
    );
    assert_eq!(finished.err.matches("gone.wasm\"").count(), 1, "drawn once: {finished:?}");
    // A data folder that is none: one sentence, and none of what would be in it.
    fs::write(home.path().join("file"), "").expect("a file in a temporary folder");
    let home_of_none = "[gateway]\ndata_dir = \"file\"\n[broker.listeners.field]\nbind = \"127.0.0.1:0\"\n";
    fs::write(home.path().join("gateway.toml"), home_of_none).expect("as above");
    let finished = home.tidegate("check", &["--offline"]);
    assert_says(&finished, &["is not a folder", "gateway.toml:2:12", "gateway.toml: 1 error\n"]);
    // For programs the same.
    let json = home.tidegate("check", &["--offline", "--format", "json"]).out;
    assert!(json.contains("\"line\": 2") && json.contains("\"column\": 12"), "{json}");
}
