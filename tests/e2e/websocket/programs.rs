//! Clients that other people wrote: paho in Python, and MQTT.js in Node. `.ci/clients` installs both below `target/tools`.

use std::path::{Path, PathBuf};
use std::process::Command;

use tidegate_tests::process::Process;
use tidegate_tests::raw::Raw;
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
fn plays(mut command: Command) {
    let web = Web::start("");
    let mut listener = Raw::clean(web.tcp, V5, "listener");
    listener.subscribe("from/#", 0);
    let mut process = Process::start("the client", command.arg(web.web.port().to_string()));
    let status = process.wait();
    let said = process.out().text();
    assert!(status.success(), "{status}\n{said}\n{}", process.err().text());
    assert!(said.contains("heard 9 of 9"), "{said}");
    let lengths: Vec<_> = (0..9).map(|_| listener.expect_delivery().payload.len()).collect();
    assert_eq!(lengths.iter().filter(|length| **length == 200_000).count(), 3);
    web.gateway.stop();
}

#[test]
fn paho_in_python_speaks_both_versions() {
    let paho = tool("python/paho");
    for version in ["4", "5"] {
        let mut python = Command::new("python3");
        python.args([script("paho_client.py").as_path(), Path::new(version)]).env("PYTHONPATH", paho.join(".."));
        plays(python);
    }
}

#[test]
fn mqtt_js_in_node_speaks_both_versions() {
    let modules = tool("node/node_modules/mqtt").join("..");
    for version in ["4", "5"] {
        let mut node = Command::new("node");
        node.args([script("mqtt_js_client.js").as_path(), Path::new(version)]).env("NODE_PATH", &modules);
        plays(node);
    }
}

pub(super) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/websocket").join(name)
}
