//! A gateway: the real binary with a configuration of its own, on a port that the kernel gave it.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::counters::Counters;
use crate::eventually::{SOON, eventually, soon};
use crate::process::{Finished, Lines, Process};
use crate::{backend, binary};

/// What every test needs and none is about. The rest of a test's configuration follows.
const PRELUDE: &str =
    "[gateway]\nid = \"gw\"\ndata_dir = \"data\"\n\n[broker.listeners.local]\nbind = \"127.0.0.1:0\"\n\n";

/// What a gateway tells: who comes and goes, too.
const LOG: &str = "info,tidegate::ingress::connection=debug";

pub struct Gateway {
    home: Arc<Home>,
    process: Process,
    address: SocketAddr,
    ready_after: Duration,
}

/// What is run: the binary as it is shipped, unless a test wants it to suffer.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// Another build of it.
    pub program: Option<PathBuf>,
    /// What runs it: `strace` with its arguments.
    pub under: Vec<String>,
    pub env: Vec<(String, String)>,
}

/// It has ended before it let a device in.
#[derive(Debug)]
pub struct Stillborn {
    pub status: ExitStatus,
    pub log: Lines,
}

/// One that has ended, with everything that it left on disk.
pub struct Stopped(Arc<Home>);

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

// === impl Launch ===

impl Launch {
    /// The build with kill points; `failpoints` says what is to happen there.
    pub fn failing(failpoints: &str) -> Self {
        let env = vec![("FAILPOINTS".to_owned(), failpoints.to_owned())];
        Self { program: Some(binary::with_kill_points().to_owned()), env, ..Self::default() }
    }

    /// A process that nobody has looked at yet.
    pub fn start(&self, home: &Home) -> Process {
        Process::start("tidegate run", &mut self.command(home))
    }

    pub fn command(&self, home: &Home) -> Command {
        let program = self.program.as_deref().unwrap_or_else(|| binary::tidegate());
        let mut command = match self.under.split_first() {
            Some((tracer, args)) => {
                let mut command = Command::new(tracer);
                command.args(args).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(["run", "-c", "gateway.toml"]).current_dir(home.path()).env("RUST_LOG", LOG);
        command.envs(self.env.iter().cloned());
        command
    }
}

// === impl Gateway ===

impl Gateway {
    /// Starts it, and returns when devices can connect.
    pub fn start(config: &str) -> Self {
        Self::launch(&Arc::new(Home::new(config)), &Launch::default())
    }

    /// The same at a place where one may have run before.
    pub fn launch(home: &Arc<Home>, how: &Launch) -> Self {
        Self::try_launch(home, how).unwrap_or_else(|Stillborn { status, log }| {
            panic!(
                "the gateway ended ({status}) instead of listening; its configuration:\n{}\n{}",
                home.config(),
                log.text()
            )
        })
    }

    /// The same for one that may be killed while it starts.
    pub fn try_launch(home: &Arc<Home>, how: &Launch) -> Result<Self, Stillborn> {
        let started = Instant::now();
        let mut process = how.start(home);
        // The port of all tests, where there are others too.
        let (has_local, local) = (home.config().contains("[broker.listeners.local]"), "listening listener=local ");
        let ours = |line: &str| if !has_local || line.contains(local) { address(line) } else { None };
        let address = eventually("the gateway listens", SOON, || match process.err().find(ours) {
            Some(address) => Some(Ok(address)),
            None => process.has_ended().map(Err),
        });
        match address {
            Ok(address) => Ok(Self { home: home.clone(), process, address, ready_after: started.elapsed() }),
            Err(status) => Err(Stillborn { status, log: process.err().clone() }),
        }
    }

    /// From the start of the process until devices could connect.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Waits until so many dead letters are in the archive, as a command sees it.
    pub fn expect_letters(&self, count: usize) {
        soon(&format!("{count} dead letters"), || {
            let finished = self.home().spool("export", &["--dead-letters"]);
            finished.code == Some(0) && finished.out.lines().count() == count
        });
    }

    /// Waits until a counter has come so far: what arrived elsewhere is counted here a moment later, and a gateway that stops
    /// waits for its upstreams only for a while.
    pub fn expect_count(&self, counter: &str, count: usize) {
        soon(&format!("{counter}={count}"), || {
            let finished = self.home().tidegate("status", &["--format", "json"]);
            let status: serde_json::Value = serde_json::from_str(&finished.out).unwrap_or_default();
            let counted = status["counters"][counter].as_u64();
            assert!(counted.is_some() || finished.code != Some(0), "no counter `{counter}` in {status}");
            counted >= Some(count as u64)
        });
    }

    /// Waits until the gateway is done with the connection of a device that has left. The end of the socket comes before that.
    pub fn expect_departure(&self, client: &str) {
        self.expect_log(&[": disconnected ", &format!("client={client:?}")]);
    }

    /// SIGKILL: what was only in memory is gone.
    pub fn kill(mut self) -> Stopped {
        self.process.kill();
        Stopped(self.home.clone())
    }

    /// As [`Gateway::stop`], for those who go on with what is on disk.
    pub fn stop_and_keep(mut self) -> Stopped {
        self.end();
        Stopped(self.home.clone())
    }

    /// Waits for the end that it finds by itself.
    pub fn wait_for_end(mut self) -> ExitStatus {
        self.process.wait()
    }

    /// SIGKILL, and a new process in the same place. It listens on another port.
    pub fn crash(&mut self) {
        self.process.kill();
        *self = Self::launch(&self.home, &Launch::default());
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Of a listener of the test's own.
    pub fn listener(&self, name: &str) -> SocketAddr {
        let named = format!("listening listener={name} ");
        let found = || self.log().find(|line| line.contains(&named).then(|| address(line)).flatten());
        eventually(&format!("the listener `{name}` listens"), SOON, found)
    }

    /// Of `operate.http`.
    pub fn http(&self) -> SocketAddr {
        let found = || {
            self.log().find(|line| {
                line.contains("over HTTP").then(|| line.split_once("address=")).flatten()?.1.trim().parse().ok()
            })
        };
        eventually("metrics are offered", SOON, found)
    }

    /// Its resident memory in bytes.
    pub fn memory(&self) -> usize {
        self.process.memory()
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

    /// Waits until its plugins are compiled, which devices do not wait for: where something is measured.
    pub fn expect_plugins(&self) {
        let plugins = self.home.config().matches("component =").count();
        self.expect_log_times(plugins, &["plugin loaded"]);
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

    /// The same of another version, whose counters may have other names.
    pub fn stop_another_version(mut self) {
        self.end_process();
        assert_eq!(self.log().count(|line| line.contains("=balanced")), 1, "its message accounting is right");
    }

    fn end_process(&mut self) {
        self.process.terminate();
        let status = self.process.wait();
        assert!(status.success(), "the gateway did not stop in good order: {status}");
    }

    fn end(&mut self) -> Counters {
        self.end_process();
        let counters = eventually("the gateway logs its counters", SOON, || self.log().find(Counters::parse));
        if binary::another().is_some() {
            return counters;
        }
        counters.assert_conserved();
        assert_eq!(
            self.log().count(|line| line.contains("accounting=balanced")),
            1,
            "the gateway says that its message accounting is wrong"
        );
        counters
    }
}

impl Stopped {
    pub fn home(&self) -> &Home {
        &self.0
    }

    pub fn start_again(self) -> Gateway {
        Gateway::launch(&self.0, &Launch::default())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- gateway.toml ---\n{}", self.home.config());
        } else if self.process.has_ended().is_none() {
            // Every test ends with the accounting, whatever it was about.
            self.end();
        }
    }
}

/// From `… listening listener=local address=127.0.0.1:12345`.
pub fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening listener=")?;
    rest.split_once("address=")?.1.split_whitespace().next()?.parse().ok()
}
