//! What a gateway logs: as its configuration says, and otherwise while it runs.

use std::fs;

use tidegate_tests::eventually::soon;
use tidegate_tests::gateway::{Gateway, Home};
use tidegate_tests::process::{Finished, Process};
use tidegate_tests::raw::Raw;
use tidegate_tests::wire::V5;

const CONNECTED: &str = "tidegate::ingress::connection";

fn good(finished: Finished) -> String {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.out
}

/// Without the levels that other tests have in RUST_LOG.
fn run(home: &Home, more: &[&str]) -> Process {
    let mut command = std::process::Command::new(tidegate_tests::binary::tidegate());
    command.args(more).args(["run", "-c", "gateway.toml"]).current_dir(home.path()).env_remove("RUST_LOG");
    let process = Process::start("tidegate run", &mut command);
    soon("it listens", || process.err().text().contains("listening"));
    process
}

fn stop(mut process: Process) {
    process.terminate();
    assert!(process.wait().success(), "{}", process.err().text());
}

#[test]
fn levels_change_while_it_runs_and_are_taken_back() {
    let gateway = Gateway::start("");
    let home = gateway.home();
    let lines = |client: &str| gateway.log().count(|line| line.contains(CONNECTED) && line.contains(client));
    let come = |client: &str| {
        Raw::clean(gateway.address(), V5, client).leave();
        // Something that comes later, and is always told.
        good(home.tidegate("log", &["tidegate=info"]));
    };
    come("first");
    soon("the first is told, by RUST_LOG", || lines("first") > 0);
    let levels = good(home.tidegate("log", &[&format!("{CONNECTED}=warn")]));
    assert!(levels.contains("tidegate::ingress::connection=warn") && levels.starts_with("rustls=off"), "{levels}");
    come("second");
    assert!(good(home.tidegate("log", &["--reset"])).contains("connection=debug"), "as RUST_LOG says");
    come("third");
    soon("the third is told", || lines("third") > 0);
    assert_eq!(lines("second"), 0);
    let wrong = home.tidegate("log", &["loud"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("no level"), "{wrong:?}");
    gateway.stop();
}

#[test]
fn the_configuration_chooses_level_and_format_and_a_reload_the_level() {
    let config = |level: &str| {
        format!(
            "[gateway]\nid = \"gw\"\ndata_dir = \"data\"\n[broker.listeners.local]\nbind = \"127.0.0.1:0\"\n[log]\nlevel = \"{level}\"\nformat = \"json\"\n"
        )
    };
    let home = Home::exactly(&config("info"));
    let process = run(&home, &[]);
    let line = process.err().find(|line| line.contains("listening").then(|| line.to_owned())).unwrap_or_default();
    let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(line["level"], "INFO");
    fs::write(home.path().join("gateway.toml"), config("info,tidegate::egress=debug")).expect("its configuration");
    good(home.tidegate("log", &["trace"]));
    assert!(good(home.tidegate("reload", &[])).contains("changed: log.level"));
    let levels = good(home.tidegate("log", &[]));
    assert!(levels.contains("info,tidegate::egress=debug") && !levels.contains("trace"), "{levels}");
    stop(process);
    // Who starts it has the last word on the format.
    let process = run(&home, &["--log-format", "text"]);
    assert!(process.err().find(|line| line.starts_with('{').then_some(())).is_none(), "{}", process.err().text());
    stop(process);
}

#[test]
fn top_shows_what_status_does_again_and_again() {
    let gateway = Gateway::start("");
    Raw::clean(gateway.address(), V5, "device").publish("t", "x", 1);
    let shown = good(gateway.home().tidegate("top", &["--interval", "100ms", "--count", "3"]));
    assert_eq!(shown.matches("received: 1\n").count(), 3, "{shown}");
    assert!(!shown.contains('\u{1b}'), "no terminal");
    let status = good(gateway.home().tidegate("status", &[]));
    assert!(shown.contains(status.lines().next().expect("its version")));
    gateway.stop();
}
