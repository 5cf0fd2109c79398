//! systemd, as a gateway sees it: a datagram socket that is told things, and what is in the environment.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::eventually::{SOON, eventually};
use crate::gateway::Launch;

pub struct Supervisor {
    folder: TempDir,
    told: Told,
    /// One that does not read has it.
    _silent: Option<UnixDatagram>,
}

/// Datagrams, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

// === impl Supervisor ===

impl Supervisor {
    pub fn listening() -> Self {
        let (folder, told) = (folder(), Told::default());
        let (socket, heard) = (bind(folder.path()), told.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read) = socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                heard.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            }
        });
        Self { folder, told, _silent: None }
    }

    /// One that stands still, and whose queue is full.
    pub fn silent() -> Self {
        let folder = folder();
        let silent = bind(folder.path());
        let sender = UnixDatagram::unbound().expect("a socket");
        sender.set_nonblocking(true).expect("a socket that does not block");
        let path = socket(folder.path());
        while sender.send_to(b"X=1", &path).is_ok() {}
        Self { folder, told: Told::default(), _silent: Some(silent) }
    }

    /// How it starts a gateway. With a period, that gateway has a watchdog.
    pub fn launch(&self, watchdog: Option<Duration>) -> Launch {
        let mut env = vec![("NOTIFY_SOCKET".to_owned(), socket(self.folder.path()).display().to_string())];
        env.extend(watchdog.map(|period| ("WATCHDOG_USEC".to_owned(), period.as_micros().to_string())));
        Launch { env, ..Launch::default() }
    }

    /// Assignments like `READY=1`, in the order in which they came.
    pub fn told(&self) -> Vec<String> {
        let told = self.told.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
    }

    pub fn count(&self, assignment: &str) -> usize {
        self.told().iter().filter(|told| *told == assignment).count()
    }

    pub fn wait_for(&self, assignment: &str, times: usize) {
        let what = format!("{assignment} {times} times");
        eventually(&what, SOON, || (self.count(assignment) >= times).then_some(()));
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("notify")
}

fn bind(folder: &Path) -> UnixDatagram {
    UnixDatagram::bind(socket(folder)).expect("a socket in a temporary folder")
}
