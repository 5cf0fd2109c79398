//! The archive, shared: by the task that keeps it and by commands that ask for something.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::archive::{Archive, Filed};
use super::filter::Filter;
use super::letter::DeadLetter;
use crate::base::timeline;

#[derive(Clone)]
pub struct ArchiveHandle(Arc<Shared>);

struct Shared {
    /// Std: it is held over a write of the disk, and therefore only ever taken on a thread that may block.
    archive: Mutex<Archive>,
    marked: Notify,
}

// === impl ArchiveHandle ===

impl ArchiveHandle {
    pub fn new(archive: Archive) -> Self {
        Self(Arc::new(Shared { archive: Mutex::new(archive), marked: Notify::new() }))
    }

    pub async fn letters(&self) -> u64 {
        self.with(|archive| archive.letters()).await.unwrap_or(0)
    }

    /// How many go again. They are on their way when this returns, and remembered.
    pub async fn requeue(&self, filter: Filter) -> Result<u64, String> {
        let marked = self.with(move |archive| archive.mark(&filter)).await?.map_err(|error| error.to_string());
        self.0.marked.notify_one();
        marked
    }

    /// Takes letters. Those that it says are kept are durable when it returns.
    pub async fn file(&self, letters: Vec<DeadLetter>) -> Result<Filed, String> {
        let filed = self.with(move |archive| archive.file(&letters, timeline::now_ms())).await?;
        filed.map_err(|error| error.to_string())
    }

    pub async fn purge(&self, filter: Filter) -> Result<u64, String> {
        self.with(move |archive| archive.purge(&filter)).await?.map_err(|error| error.to_string())
    }

    /// Ends when something was marked to go again.
    pub async fn marked(&self) {
        self.0.marked.notified().await;
    }

    /// Off the async threads, because it waits for a disk.
    pub async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Archive) -> T + Send + 'static,
    ) -> Result<T, String> {
        let shared = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut shared.archive()));
        done.await.map_err(|error| format!("the archive's thread: {error}"))
    }
}

// === impl Shared ===

impl Shared {
    fn archive(&self) -> MutexGuard<'_, Archive> {
        self.archive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
