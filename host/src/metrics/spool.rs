//! Of the log of the spool: told by the one thread that writes it, at most a few numbers for each write.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Families, Gauge, Times};
use crate::base::clock;

#[derive(Debug, Default)]
pub struct SpoolMetrics {
    /// How long the disk took for each `fdatasync`.
    pub syncs: Times,
    /// Bytes of all segments, as they are preallocated.
    pub disk: Gauge,
    /// Of these, what is free in the last segment.
    pub free: Gauge,
    /// Of these, what does not count against `max_bytes`, because it is kept for the state alone.
    pub spared: Gauge,
    /// A write that the disk has not answered yet.
    pending: Mutex<Option<Instant>>,
}

// === impl SpoolMetrics ===

impl SpoolMetrics {
    /// Runs a sync, and measures it.
    pub fn sync<T>(&self, sync: impl FnOnce() -> T) -> T {
        let started = clock::now();
        *self.pending() = Some(started);
        let synced = sync();
        *self.pending() = None;
        self.syncs.observe(clock::since(started));
        synced
    }

    /// For how long the disk has not answered; none when nothing is asked of it.
    pub fn stalled(&self) -> Option<Duration> {
        self.pending().map(clock::since)
    }

    /// As it counts against `max_bytes`.
    pub fn used(&self) -> u64 {
        self.disk.get().saturating_sub(self.free.get()).saturating_sub(self.spared.get())
    }

    pub(super) fn measure(&self, to: &mut Families) {
        let help = "How long the disk takes to make a group of messages durable.";
        to.histogram("tidegate_spool_sync_seconds", help, &[], &self.syncs);
        let help = "How long the disk has not answered to the sync that is under way; 0 when none is.";
        let stalled = self.stalled().unwrap_or_default().as_secs_f64();
        to.gauge("tidegate_spool_sync_pending_seconds", help, &[], stalled);
        let help = "Bytes in the spool: tidegate_spool_limit_bytes at most.";
        to.gauge("tidegate_spool_used_bytes", help, &[], self.used() as f64);
        let help = "Bytes of the files of the spool, with what is preallocated and what is kept for the state.";
        to.gauge("tidegate_spool_disk_bytes", help, &[], self.disk.get() as f64);
    }

    fn pending(&self) -> MutexGuard<'_, Option<Instant>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sync_that_the_disk_does_not_answer_is_seen_before_it_ends() {
        let metrics = SpoolMetrics::default();
        assert_eq!(metrics.stalled(), None);
        *metrics.pending() = Some(clock::now());
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(metrics.stalled(), Some(Duration::from_secs(7)));
        metrics.sync(|| ());
        assert_eq!((metrics.stalled(), metrics.syncs.count()), (None, 1));
    }
}
