//! Reload: another configuration without a restart, all of it or nothing, and nobody notices who need not.

mod bindings;
mod kills;
mod listeners;
mod pause;
mod refused;
mod rules;
mod under_load;

use std::process::Command;

use tidegate_tests::gateway::Gateway;
use tidegate_tests::process::Finished;

/// What `Home::new` begins with.
const PRELUDE: &str =
    "[gateway]\nid = \"gw\"\ndata_dir = \"data\"\n\n[broker.listeners.local]\nbind = \"127.0.0.1:0\"\n\n";

/// DISCONNECT, "Administrative action".
const ADMINISTRATIVE_ACTION: u8 = 0x98;
const NOT_AUTHORIZED: u8 = 0x87;

/// `more` follows what each gateway of these tests has.
fn write(gateway: &Gateway, more: &str) {
    write_exactly(gateway, &config(more));
}

fn config(more: &str) -> String {
    format!("{PRELUDE}{more}")
}

fn write_exactly(gateway: &Gateway, config: &str) {
    std::fs::write(gateway.home().path().join("gateway.toml"), config).expect("a file in a temporary folder");
}

/// `tidegate reload`, which has to be carried out.
fn reload(gateway: &Gateway) -> String {
    let finished = try_reload(gateway, &[]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.out
}

fn try_reload(gateway: &Gateway, more: &[&str]) -> Finished {
    gateway.home().tidegate("reload", more)
}

/// By its data folder: the gateway alone looks at the file.
fn reload_by_folder(gateway: &Gateway) -> Finished {
    tidegate_tests::binary::run(&["reload", "--data-dir", "data"], gateway.home().path())
}

fn hang_up(pid: u32) {
    let sent = Command::new("kill").args(["-HUP", &pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "a signal for {pid}");
}
