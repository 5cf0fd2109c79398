//! A real mosquitto as upstream: it can be stopped with its sessions kept, killed, and started again on the same port.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::eventually::{SOON, eventually};
use crate::ports;
use crate::process::Process;

/// Another process may take a port between the look and the start.
const ATTEMPTS: usize = 5;

pub struct Mosquitto {
    folder: TempDir,
    address: SocketAddr,
    process: Option<Process>,
    settings: String,
    /// Of a second listener; 0 without one.
    second: u16,
    /// What has to stand first.
    before: &'static str,
}

/// One that keeps its sessions and tells everything that it does.
pub const WATCHED: &str = "persistence true\nlog_type all\nconnection_messages true\n";

/// For an upstream, which is to be none of the limits.
const UNLIMITED: &str = "max_queued_messages 0\nqueue_qos0_messages true\n";

// === impl Mosquitto ===

impl Mosquitto {
    pub fn start() -> Self {
        Self::stopped().started()
    }

    /// As a gateway of its own kind: a bridge to this upstream. What it is asked for comes in the words of its configuration: of the
    /// broker, and of the bridge.
    pub fn bridge(upstream: SocketAddr, broker: &str, bridge: &str) -> Self {
        let settings =
            format!("{broker}connection cloud\naddress {upstream}\ncleansession false\nnotifications false\n{bridge}");
        Self { settings, ..Self::stopped() }.started()
    }

    /// The same as mosquitto does it by itself: it tells the state of the connection on `$SYS/broker/connection/…`, and has a will there.
    pub fn notifying_bridge(upstream: SocketAddr, bridge: &str) -> Self {
        let settings = format!("{WATCHED}connection cloud\naddress {upstream}\ncleansession false\n{bridge}");
        Self { settings, ..Self::stopped() }.started()
    }

    /// With these lines in its configuration, for its one listener.
    pub fn configured(lines: &str) -> Self {
        let stopped = Self::stopped();
        Self { settings: format!("{lines}{}", stopped.settings), ..stopped }.started()
    }

    /// With an ACL file on its listener, and a second listener that has none.
    pub fn with_acl(acl: &str) -> Self {
        Self::stopped_with_acl(acl).started()
    }

    /// Whether it starts with this ACL file.
    pub fn takes_acl(acl: &str) -> bool {
        let mut mosquitto = Self::stopped_with_acl(acl);
        (0..2).any(|_| mosquitto.try_start())
    }

    fn stopped_with_acl(acl: &str) -> Self {
        let stopped = Self::stopped();
        let file = stopped.folder.path().join("acl");
        fs::write(&file, acl).expect("a file in a temporary folder");
        let second = ports::free();
        let listener = format!("listener {second} {}\nallow_anonymous true\n", Ipv4Addr::LOCALHOST);
        let settings = format!("acl_file {}\n{listener}log_dest stderr\nlog_type all\n", file.display());
        Self { settings, second, before: "per_listener_settings true\n", ..stopped }
    }

    /// The listener that has no ACL file.
    pub fn second_address(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip(), self.second)
    }

    fn started(mut self) -> Self {
        let mosquitto = &mut self;
        for _ in 0..ATTEMPTS {
            if mosquitto.try_start() {
                return self;
            }
            mosquitto.address.set_port(ports::free());
        }
        panic!("mosquitto finds no port");
    }

    /// The program, for a test with a configuration of its own.
    pub fn command() -> Command {
        // Debian keeps servers out of the PATH of users.
        let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("mosquitto");
        command.env("PATH", path);
        command
    }

    /// A place for one that is not there yet.
    pub fn stopped() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        Self { folder, address, process: None, settings: format!("{WATCHED}{UNLIMITED}"), second: 0, before: "" }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// While it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// The part of a gateway's configuration that names this one.
    pub fn upstream(&self, name: &str, protocol: u8) -> String {
        format!("[upstreams.{name}]\nurl = \"mqtt://{}\"\nprotocol = {protocol}\n", self.address)
    }

    /// Its log, since it was started last.
    pub fn said(&self) -> Vec<String> {
        self.process.as_ref().map_or_else(Vec::new, |process| process.err().all())
    }

    /// SIGTERM: sessions, retained and queued messages are saved.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate();
            process.wait();
        }
    }

    /// SIGKILL: it knows nobody when it comes back.
    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn restart(&mut self) {
        self.stop();
        assert!(self.try_start(), "mosquitto did not start again on {}", self.address);
    }

    /// The same with more in its configuration.
    pub fn restart_with(&mut self, more: &str) {
        self.settings.push_str(more);
        self.restart();
    }

    fn try_start(&mut self) -> bool {
        let config = self.folder.path().join("mosquitto.conf");
        fs::write(&config, self.config(self.folder.path())).expect("a file in a temporary folder");
        let mut process = Process::start("mosquitto", Self::command().arg("-c").arg(config));
        // Its own word, not a connection: that may reach another one, which took the port a moment before.
        let up = eventually("mosquitto listens or gives up", SOON, || {
            if process.err().count(|line| line.ends_with(" running")) > 0 {
                return Some(true);
            }
            process.has_ended().map(|_| false)
        });
        self.process = up.then_some(process);
        up
    }

    fn config(&self, folder: &Path) -> String {
        // `user root` keeps the rights of a test that runs as root, and means nothing otherwise.
        format!(
            "{}listener {} {}\nallow_anonymous true\nuser root\npersistence_location {}/\nlog_dest stderr\n{}",
            self.before,
            self.address.port(),
            self.address.ip(),
            folder.display(),
            self.settings,
        )
    }
}
