//! What a terminal obeys never comes from a configuration, a device, a plugin or a command line.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tidegate_tests::binary;
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::process::{Finished, Process};
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::{Connect, V4};

/// ESC and C1's CSI, which clear a screen; a bell, a carriage return, "shift out".
const EVIL: &str = "\u{1b}[2J\u{9b}2J\u{7}\r\u{e}\u{85}";

const PLUGIN: &str = "[plugins.vices]\ncomponent = \"plugins/vices.wasm\"\n\
    [[bindings]]\nname = \"risky\"\ntopic = \"#\"\nplugins = [\"vices\"]\n\
    to = [{ local = true, topic = \"$out\" }]\n";

fn assert_harmless(what: &str, texts: &[&str]) {
    for text in texts {
        let found = text.chars().find(|c| c.is_control() && !['\n', '\t'].contains(c));
        assert_eq!(found, None, "{what}: {text:?}");
    }
}

fn assert_harmless_run(folder: &Home, args: &[&str]) -> Finished {
    let finished = binary::run(args, folder.path());
    assert_harmless(&format!("{args:?}"), &[&finished.out, &finished.err]);
    finished
}

#[test]
fn problems_of_a_configuration_are_drawn_without_what_a_terminal_obeys() {
    // C1 may stand in a file as it is, C0 only by number, and in a comment not at all.
    let home = Home::exactly(
        "[gateway]\nid = \"a\u{9b}2J\\u001b[2J\\r\" # \u{9b}31m\n\"\u{85}\u{9b}\" = 1\n[upstreams.\"\u{9b}\"]\nurl = \"x://\u{9b}\"\n",
    );
    let finished = assert_harmless_run(&home, &["check", "-c", "gateway.toml"]);
    assert!(finished.code == Some(78) && finished.err.contains("\\u009b"), "{finished:?}");
    for args in
        [["check", "-c", "gateway.toml", "--format", "json"], ["run", "-c", "gateway.toml", "--log-format", "json"]]
    {
        assert_eq!(assert_harmless_run(&home, &args).code, Some(78));
    }
    // The name of the file, as it is drawn and when it is not there.
    fs::copy(home.path().join("gateway.toml"), home.path().join(EVIL)).expect("any name but NUL and slash");
    for file in [EVIL, &format!("{EVIL}.toml")] {
        for command in ["check", "run", "test", "status"] {
            assert_harmless_run(&home, &[command, "-c", file]);
        }
    }
}

#[test]
fn what_was_typed_wrongly_is_quoted_without_it() {
    let home = Home::new("");
    for args in [&[EVIL][..], &["check", EVIL], &["status", "--format", EVIL]] {
        let finished = assert_harmless_run(&home, args);
        assert_ne!(finished.code, Some(0), "{args:?}");
    }
    for topic in ["a/b", EVIL] {
        assert_harmless_run(&home, &["explain", "-c", "gateway.toml", topic, "--client", EVIL]);
    }
    assert!(assert_harmless_run(&home, &["--help"]).out.contains("check"));
}

/// A line end, behind which something stands that would look as if the gateway had said it; and what turns a text around.
const FORGED: &str = "x\nforged: all is well\u{2028}\u{202e}";

#[test]
fn what_was_typed_begins_no_line_of_its_own() {
    let home = Home::exactly("[gateway]\ndata_dir = \"d\"\n[broker.listeners.l]\nbind = \"127.0.0.1:0\"\n");
    let (file, folder) = (home.path().join(format!("{FORGED}.toml")), home.path().join(FORGED));
    fs::copy(home.path().join("gateway.toml"), file).expect("any name but NUL and slash");
    fs::create_dir(&folder).expect("as above");
    let (config, other) = (["-c", "gateway.toml"], format!("{FORGED}.toml"));
    let with_config = |args: &[&'static str]| [args, &config].concat();
    for args in [
        [&with_config(&["explain"])[..], &[FORGED]].concat(),
        [&with_config(&["explain", "publish", "t", "--as"])[..], &[FORGED, "--client", FORGED]].concat(),
        [&with_config(&["explain", "subscribe"])[..], &[FORGED]].concat(),
        [&with_config(&["explain", "publish", "t", "--listener"])[..], &[FORGED]].concat(),
        [&with_config(&["sessions", "drop"])[..], &[FORGED]].concat(),
        [&with_config(&["spool", "peek", "--upstream"])[..], &[FORGED]].concat(),
        [&with_config(&["spool", "requeue", "--binding"])[..], &[FORGED]].concat(),
        [&with_config(&["spool", "purge", "--yes", "--upstream"])[..], &[FORGED]].concat(),
        [&with_config(&["test"])[..], &[FORGED]].concat(),
        vec!["check", "-c", &other],
        vec!["check", "-c", &other, "--offline"],
        vec!["explain", "-c", FORGED, "t"],
        vec!["run", "-c", FORGED],
        vec!["status", "--data-dir", FORGED],
        vec!["reload", "--data-dir", FORGED],
        vec!["reload", "-c", FORGED],
        vec!["status", "--format", FORGED],
        vec!["import", FORGED],
        vec!["plugin", "build", FORGED],
        vec!["passwd", "users", FORGED, "-D"],
        vec![FORGED],
        vec!["check", FORGED],
        vec!["check", "--x\nforged: y"],
    ] {
        let finished = assert_harmless_run(&home, &args);
        for text in [&finished.out, &finished.err] {
            assert!(!text.lines().any(|line| line.trim_start().starts_with("forged")), "{args:?}: {finished:?}");
            assert!(!text.contains(['\u{2028}', '\u{202e}']), "{args:?}: {finished:?}");
        }
    }
}

#[test]
fn a_rehearsal_writes_topics_and_payloads_by_number() {
    let home = Home::new(PLUGIN);
    let lines = format!("[a/{EVIL}b] {EVIL}\n{EVIL}\n[a] log\n[a] refuse\n[a] echo{EVIL}\n");
    fs::write(home.path().join("lines"), lines).expect("a file in a temporary folder");
    for format in ["text", "json"] {
        let args = ["test", "-c", "gateway.toml", "lines", "--format", format, "--client", EVIL];
        let finished = assert_harmless_run(&home, &args);
        assert!(finished.out.contains("echo\\u001b[2J\\u009b2J"), "{finished:?}");
    }
    // From a pipe, which ends at a terminal as well.
    let mut command = Command::new(binary::tidegate());
    command.args(["test", "-c", "gateway.toml"]).current_dir(home.path());
    command.stdin(Stdio::from(fs::File::open(home.path().join("lines")).expect("it was written")));
    let mut process = Process::start_with("tidegate test", &mut command);
    process.wait();
    assert_harmless("test", &[&process.out().text(), &process.err().text()]);
}

#[test]
fn a_gateway_and_the_commands_beside_it_write_none_of_what_devices_and_plugins_say() {
    let home = Arc::new(Home::new(PLUGIN));
    let gateway = Gateway::launch(&home, &Launch::default());
    let evil = EVIL.replace(['\r', '\u{7}', '\u{e}', '\u{1b}', '\u{85}', '\u{9b}'], "x");
    for client in [EVIL, &evil] {
        // It may be refused: text of MQTT should not have them.
        let Some(mut device) = Raw::try_open(gateway.address(), V4) else { continue };
        device.send(&Connect::new(V4, client).encode());
        for payload in ["log", "refuse", EVIL] {
            device.send(&tidegate_tests::wire::publish(V4, &format!("t/{client}"), payload).qos(1, 1).encode());
        }
    }
    let mut device = Raw::clean(gateway.address(), V4, "device");
    for payload in ["log", "refuse", "panic"] {
        device.publish("t", payload, 1);
    }
    gateway.expect_count("dead_letters_archived", 2);
    for args in [
        &["status", "-c", "gateway.toml"][..],
        &["status", "-c", "gateway.toml", "--format", "json"],
        &["sessions", "-c", "gateway.toml"],
        &["spool", "stat", "-c", "gateway.toml"],
        &["spool", "peek", "-c", "gateway.toml", "--dead-letters"],
        &["spool", "export", "-c", "gateway.toml", "--dead-letters"],
        &["spool", "peek", "-c", "gateway.toml", "--upstream", EVIL],
        &["spool", "requeue", "-c", "gateway.toml", "--binding", EVIL],
    ] {
        assert_harmless_run(&home, args);
    }
    gateway.expect_log(&["so much to say"]);
    assert_harmless("the log", &[&gateway.log().text()]);
    gateway.kill();
}

#[test]
fn the_compiler_of_a_plugin_quotes_its_source_without_it() {
    let home = Home::new("");
    fs::create_dir(home.path().join("src")).expect("a folder in a temporary folder");
    let manifest = "[package]\nname = \"p\"\nversion = \"0.0.0\"\n[lib]\ncrate-type = [\"cdylib\"]\n[workspace]\n";
    let source = "compile_error!(\"so \\u{1b}[2J \\u{9b}31m it is\");";
    for (file, text) in [("Cargo.toml", manifest), ("src/lib.rs", source)] {
        fs::write(home.path().join(file), text).expect("as above");
    }
    let finished = assert_harmless_run(&home, &["plugin", "build", "."]);
    assert!(finished.code == Some(1) && finished.err.contains("it is"), "{finished:?}");
}
