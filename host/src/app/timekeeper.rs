//! Keeps the gateway's time for the next process: see `base::timeline`.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::base::timeline::AnchorFile;

/// After a power cut on a board without a battery-backed clock, deadlines are later by so much at most, beside the time without power. A block of
/// the disk each time: 12 MB in a day.
const EVERY: Duration = Duration::from_secs(30);

pub struct Timekeeper {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

// === impl Timekeeper ===

impl Timekeeper {
    /// Where the time cannot be kept, messages go on.
    pub fn start(data_dir: &Path) -> Self {
        let stop = CancellationToken::new();
        let task = match AnchorFile::open(data_dir) {
            Ok(file) => tokio::spawn(keep(file, stop.clone())),
            Err(error) => {
                tell(&error);
                tokio::spawn(async {})
            }
        };
        Self { task, stop }
    }

    /// With the time of this moment. On a disk that stands still it is that of half a minute ago, which is no reason to wait for it.
    pub async fn stop(self, by: Instant) {
        self.stop.cancel();
        let _ = tokio::time::timeout_at(by, self.task).await;
    }
}

async fn keep(mut file: AnchorFile, stop: CancellationToken) {
    let (mut every, mut failed) = (tokio::time::interval(EVERY), false);
    // After a disk that stood still, not all that were missed.
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let is_last = stop.run_until_cancelled(every.tick()).await.is_none();
        // Off the async threads, because it waits for a disk.
        let written = tokio::task::spawn_blocking(move || (file.write(), file)).await;
        let Ok((written, back)) = written else { return };
        file = back;
        if let Err(error) = &written
            && !failed
        {
            tell(error);
        }
        failed = written.is_err();
        if is_last {
            return;
        }
    }
}

fn tell(error: &std::io::Error) {
    tracing::warn!(
        "the time cannot be kept in `data_dir` ({error}): after a restart, what has a deadline gets more time than it was promised"
    );
}
