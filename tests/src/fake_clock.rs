//! A wall clock that a test sets, under the real binary: `libfaketime`. The monotonic clock stays as it is, as when a real clock is set.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::gateway::Launch;

/// Where Debian and Fedora put it.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

pub struct FakeClock {
    folder: TempDir,
}

// === impl FakeClock ===

impl FakeClock {
    /// In the words of `faketime(1)`: `-20000d` is that long ago, `+30d` ahead.
    pub fn new(time: &str) -> Self {
        let clock = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        clock.set(time);
        clock
    }

    /// From now on, also for a process that runs.
    pub fn set(&self, time: &str) {
        // Whole or not at all: it is read all the time.
        let new = self.file().with_extension("new");
        fs::write(&new, time).and_then(|()| fs::rename(new, self.file())).expect("a file in a temporary folder");
    }

    /// What runs by this clock.
    pub fn launch(&self) -> Launch {
        let library = LIBRARIES.iter().find(|library| Path::new(library).exists());
        let library = library.expect("libfaketime: `apt-get install faketime`");
        let file = self.file().display().to_string();
        let env = [
            ("LD_PRELOAD", *library),
            ("FAKETIME_TIMESTAMP_FILE", &file),
            ("FAKETIME_NO_CACHE", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Launch { env: env.into(), ..Launch::default() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("time")
    }
}
