//! A gateway: the real binary with a configuration of its own, on a port that the kernel gave it.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::counters::Counters;
use crate::eventually::{SOON, eventually, soon};
use crate::process::{Finished, Lines, Process};
use crate::{backend, binary};

/// What every test needs and none is about. The rest of a test's configuration follows.
const PRELUDE: &str =
    "[gateway]\nid = \"gw\"\ndata_dir = \"data\"\n\n[broker.listeners.local]\nbind = \"127.0.0.1:0\"\n\n";

pub struct Gateway {
    /// Until it has ended.
    home: Option<Home>,
    process: Process,
    address: SocketAddr,
}

/// One that has ended, with everything that it left on disk.
pub struct Stopped(Home);

/// A folder with a configuration in it, and the plugins beside it: `component = "plugins/threshold.wasm"`.
pub struct Home(TempDir);

// === impl Home ===

impl Home {
    /// `config` is TOML; the gateway's name, its data folder and its listener are added.
    pub fn new(config: &str) -> Self {
        Self::exactly(&format!("{PRELUDE}{}{config}", backend::table()))
    }

    /// Nothing added.
    pub fn exactly(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        fs::write(path.join("gateway.toml"), config).expect("a file in a temporary folder");
        symlink(binary::plugins(), path.join("plugins")).expect("a link in a temporary folder");
        // Compiled once for all tests: they would spend most of their time on it.
        let compiled = binary::shared_folder().join("compiled");
        fs::create_dir_all(&compiled).expect("a folder below target");
        // Where the umask lets a group write, the gateway would refuse it.
        fs::set_permissions(&compiled, Permissions::from_mode(0o700)).expect("a folder of our own");
        fs::create_dir(path.join("data")).expect("a folder in a temporary folder");
        symlink(compiled, path.join("data/compiled")).expect("a link in a temporary folder");
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a command that is about this configuration, to its end.
    pub fn tidegate(&self, command: &str, more: &[&str]) -> Finished {
        binary::run(&[&[command, "-c", "gateway.toml"], more].concat(), self.path())
    }

    /// Runs `tidegate spool` on this configuration, to its end.
    pub fn spool(&self, command: &str, more: &[&str]) -> Finished {
        binary::run(&[&["spool", command, "-c", "gateway.toml"], more].concat(), self.path())
    }

    fn config(&self) -> String {
        fs::read_to_string(self.path().join("gateway.toml")).unwrap_or_default()
    }
}

// === impl Gateway ===

impl Gateway {
    /// Starts it, and returns when devices can connect.
    pub fn start(config: &str) -> Self {
        Self::start_in(Home::new(config))
    }

    fn start_in(home: Home) -> Self {
        let (process, address) = launch(&home);
        Self { home: Some(home), process, address }
    }

    pub fn home(&self) -> &Home {
        self.home.as_ref().expect("taken when the gateway ends")
    }

    /// Waits until so many dead letters are in the archive, as a command sees it.
    pub fn expect_letters(&self, count: usize) {
        soon(&format!("{count} dead letters"), || {
            let finished = self.home().spool("export", &["--dead-letters"]);
            finished.code == Some(0) && finished.out.lines().count() == count
        });
    }

    /// SIGKILL: what was only in memory is gone.
    pub fn kill(mut self) -> Stopped {
        self.process.kill();
        self.leave()
    }

    /// As [`Gateway::stop`], for those who go on with what is on disk.
    pub fn stop_and_keep(mut self) -> Stopped {
        self.end();
        self.leave()
    }

    fn leave(&mut self) -> Stopped {
        Stopped(self.home.take().expect("a gateway ends once"))
    }

    /// SIGKILL, and a new process in the same place. It listens on another port.
    pub fn crash(&mut self) {
        self.process.kill();
        (self.process, self.address) = launch(self.home());
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process, for whoever measures it.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn log(&self) -> &Lines {
        self.process.err()
    }

    /// Waits for a line of the log with all of these words in it.
    pub fn expect_log(&self, words: &[&str]) {
        self.expect_log_times(1, words);
    }

    /// Waits for so many of them.
    pub fn expect_log_times(&self, times: usize, words: &[&str]) {
        let said = |line: &str| words.iter().all(|word| line.contains(word));
        soon(&format!("{words:?} in {times} lines of the log"), || self.log().count(said) >= times);
    }

    /// Panics when the process has ended.
    pub fn assert_alive(&mut self) {
        assert!(self.process.has_ended().is_none(), "the gateway has ended");
    }

    /// SIGTERM, exit code 0, and every message accounted for.
    pub fn stop(mut self) -> Counters {
        self.end()
    }

    fn end(&mut self) -> Counters {
        self.process.terminate();
        let status = self.process.wait();
        assert!(status.success(), "the gateway did not stop in good order: {status}");
        let counters = eventually("the gateway logs its counters", SOON, || self.log().find(Counters::parse));
        counters.assert_conserved();
        counters
    }
}

impl Stopped {
    pub fn home(&self) -> &Home {
        &self.0
    }

    pub fn start_again(self) -> Gateway {
        Gateway::start_in(self.0)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- gateway.toml ---\n{}", self.home.as_ref().map(Home::config).unwrap_or_default());
        }
    }
}

/// Returns when devices can connect.
fn launch(home: &Home) -> (Process, SocketAddr) {
    let mut command = Command::new(binary::tidegate());
    command.args(["run", "-c", "gateway.toml"]).current_dir(home.path()).env("RUST_LOG", "info");
    let mut process = Process::start("tidegate run", &mut command);
    let address = eventually("the gateway listens", SOON, || {
        if let Some(status) = process.has_ended() {
            panic!("the gateway ended ({status}) instead of listening; its configuration:\n{}", home.config());
        }
        process.err().find(address)
    });
    (process, address)
}

/// From `… listening listener=local address=127.0.0.1:12345`.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening listener=")?;
    rest.split_once("address=")?.1.split_whitespace().next()?.parse().ok()
}
