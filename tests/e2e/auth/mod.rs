//! Who a device is: passwords, whose a client identifier and a session are, and what changes while the gateway runs.

mod guessing;
mod identity;
mod logins;
mod over_tls;
mod passwd;
mod reload;
mod secrets;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tidegate_tests::binary;
use tidegate_tests::eventually::{SOON, soon};
use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::process::{Process, finish};
use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{self, Connect, Packet};

const FILE: &str = "users.passwd";

/// A gateway that asks for passwords. `listener` is what else its listener has; what users there are, mosquitto_passwd writes, whose hashes
/// are quick.
fn asking(listener: &str, users: &[(&str, &str)]) -> Gateway {
    let home = home(listener);
    users.iter().for_each(|(name, password)| mosquitto_passwd(home.path(), name, password, "sha512-pbkdf2"));
    Gateway::launch(&home, &Launch::default())
}

/// Without any user.
fn home(listener: &str) -> Arc<Home> {
    let config = format!(
        "[gateway]\nid = \"gw\"\ndata_dir = \"data\"\n\n[broker.listeners.local]\nbind = \"127.0.0.1:0\"\nauth = \"password\"\n{listener}\n\n[access]\npasswords = \"{FILE}\"\n"
    );
    let home = Home::exactly(&config);
    std::fs::write(home.path().join(FILE), "").unwrap();
    Arc::new(home)
}

fn mosquitto_passwd(folder: &Path, name: &str, password: &str, method: &str) {
    let mut command = Command::new("mosquitto_passwd");
    let finished =
        finish("mosquitto_passwd", command.args(["-H", method, "-b", FILE, name, password]).current_dir(folder));
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

/// `tidegate passwd`, with this on stdin. Its exit code, and what it said.
fn passwd(folder: &Path, args: &[&str], stdin: &str) -> (Option<i32>, String) {
    let mut command = Command::new(binary::tidegate());
    command.arg("passwd").args(args).current_dir(folder).stdin(Stdio::piped());
    let mut process = Process::start_with("tidegate passwd", &mut command);
    // It may have ended without reading.
    let _ = process.stdin().unwrap().write_all(stdin.as_bytes());
    let code = process.wait().code();
    let said = || process.out().text() + &process.err().text();
    soon("it has said why", || code == Some(0) || !said().is_empty());
    (code, said())
}

/// What it is answered, on a connection that is kept.
fn try_connect(gateway: &Gateway, connect: &Connect) -> (Raw, Packet) {
    let mut raw = Raw::open(gateway.address(), connect.version);
    raw.send(&connect.encode());
    match raw.next(SOON) {
        Next::Packet(packet) if packet.kind() == wire::CONNACK => (raw, packet),
        other => panic!("no CONNACK: {other:?}"),
    }
}

fn reason(gateway: &Gateway, connect: &Connect) -> u8 {
    try_connect(gateway, connect).1.reason()
}
