//! How far each segment may be read: the one thing that the writer and its readers share.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Segment number to the end of what is durable in it. A mutex, not a packed atomic: it is taken once for a group of
/// frames, and the entry for a closed segment is what lets a reader step over its unwritten rest.
#[derive(Debug, Default)]
pub struct Extents(Mutex<BTreeMap<u64, u64>>);

/// What a reader may read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub segment: u64,
    pub end: u64,
    /// The last segment: at its end there is nothing more *yet*.
    pub last: bool,
}

// === impl Extents ===

impl Extents {
    pub fn set(&self, segment: u64, end: u64) {
        self.map().insert(segment, end);
    }

    pub fn remove(&self, segment: u64) {
        self.map().remove(&segment);
    }

    /// This segment, or the first after it that still exists.
    pub fn at_or_after(&self, segment: u64) -> Option<Extent> {
        let map = self.map();
        let last = *map.keys().next_back()?;
        let (&segment, &end) = map.range(segment..).next()?;
        Some(Extent { segment, end, last: segment == last })
    }

    pub fn contains(&self, segment: u64) -> bool {
        self.map().contains_key(&segment)
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
