//! Clients that other people wrote: paho in Python, and MQTT.js in Node. `.ci/clients` installs both below `target/tools`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tidegate_tests::process::Process;
use tidegate_tests::raw::Raw;
use tidegate_tests::tls::{Authority, replace};
use tidegate_tests::wire::V5;

use super::Web;

/// Where `.ci/clients` puts this.
pub(super) fn tool(path: &str) -> PathBuf {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools").join(path);
    assert!(
        tool.exists(),
        "{} is missing: run `.ci/clients`, which installs the clients of these tests",
        tool.display()
    );
    tool
}

/// What a script does: at each QoS it publishes three messages to itself, the last of 200,000 bytes, and says that they came.
fn plays(command: Command) {
    plays_with(&Web::start(""), command);
}

/// The same with TLS, whose CA the script gets with its arguments.
fn plays_in_tls(mut command: Command) {
    let authority = Authority::new("CA");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (cert, key) = authority.server().write(folder.path(), "gw");
    let ca = folder.path().join("ca.pem");
    replace(&ca, &authority.pem);
    let web = Web::start(&format!("tls = {{ cert = {cert:?}, key = {key:?} }}\n"));
    command.env("CA", ca);
    plays_with(&web, command);
}

fn plays_with(web: &Web, mut command: Command) {
    let mut listener = Raw::clean(web.tcp, V5, "listener");
    listener.subscribe("from/#", 0);
    let mut process = Process::start("the client", command.arg(web.web.port().to_string()));
    let status = process.wait();
    let said = process.out().text();
    assert!(status.success(), "{status}\n{said}\n{}", process.err().text());
    assert!(said.contains("heard 9 of 9"), "{said}");
    let lengths: Vec<_> = (0..9).map(|_| listener.expect_delivery().payload.len()).collect();
    assert_eq!(lengths.iter().filter(|length| **length == 200_000).count(), 3);
}

#[test]
fn paho_in_python_speaks_both_versions_with_tls_and_without() {
    plays(paho("4"));
    plays(paho("5"));
    plays_in_tls(paho("5"));
}

#[test]
fn mqtt_js_in_node_speaks_both_versions_with_tls_and_without() {
    plays(mqtt_js("4"));
    plays(mqtt_js("5"));
    plays_in_tls(mqtt_js("5"));
}

fn paho(version: &str) -> Command {
    let mut python = Command::new("python3");
    let script = script("paho_client.py");
    python.args([script.as_path(), Path::new(version)]).env("PYTHONPATH", tool("python/paho").join(".."));
    python
}

fn mqtt_js(version: &str) -> Command {
    let mut node = Command::new("node");
    let script = script("mqtt_js_client.js");
    node.args([script.as_path(), Path::new(version)]).env("NODE_PATH", tool("node/node_modules/mqtt").join(".."));
    node
}

pub(super) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/websocket").join(name)
}
