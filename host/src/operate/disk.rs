//! What only the disk can say. It may take its time, or not answer at all: whoever asks hears then what it said last, and at most one
//! thread waits for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::dead_letter::ArchiveHandle;

/// A good disk takes microseconds.
const PATIENCE: Duration = Duration::from_millis(500);

pub struct DiskWatch {
    archive: ArchiveHandle,
    data_dir: PathBuf,
    last: Arc<Mutex<OnDisk>>,
    turn: Arc<Semaphore>,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct OnDisk {
    /// Dead letters, and the bytes that they take.
    pub letters: u64,
    pub letter_bytes: u64,
    /// For who is not root, in the file system of the data folder. None: it does not say.
    pub free_bytes: Option<u64>,
}

// === impl DiskWatch ===

impl DiskWatch {
    pub fn new(archive: ArchiveHandle, data_dir: PathBuf) -> Self {
        Self { archive, data_dir, last: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }

    pub async fn look(&self) -> OnDisk {
        if let Ok(turn) = self.turn.clone().try_acquire_owned() {
            let (archive, data_dir, last) = (self.archive.clone(), self.data_dir.clone(), self.last.clone());
            let looking = tokio::spawn(async move {
                let _turn = turn;
                let looked = archive.with(move |archive| OnDisk {
                    letters: archive.letters(),
                    letter_bytes: archive.bytes(),
                    free_bytes: rustix::fs::statvfs(&data_dir).ok().map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize)),
                });
                if let Ok(looked) = looked.await {
                    *last.lock().unwrap_or_else(PoisonError::into_inner) = looked;
                }
            });
            let _ = timeout(PATIENCE, looking).await;
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
