//! The memory of one instance, counted over all of its linear memories.
//!
//! Not wasmtime's `StoreLimits`, which limits each memory by itself, so that a component with eight of them has eight times
//! the limit; and whose error can be told from others by its words only.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::ResourceLimiter;

use super::limits::{MAX_INSTANCES, MAX_MEMORIES, MAX_TABLES};

/// Growth beyond the limit traps. A guest that gets -1 instead calls its own abort handler, which says less.
pub struct MemoryCap {
    limit: usize,
    used: usize,
    total: MemoryTotal,
    max_table_entries: usize,
    table_entries: usize,
}

/// The memory of all instances of a process. Cheap to clone.
#[derive(Clone)]
pub struct MemoryTotal(Arc<Total>);

struct Total {
    limit: usize,
    used: AtomicUsize,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "needs memory when all plugins together have their {limit} bytes: raise `memory_total` of `[engine.limits]`, or lower `limits.memory` \
     of plugins"
)]
pub struct TotalExceeded {
    pub limit: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("needs more than its limit of {limit} bytes (`limits.memory`)")]
pub struct MemoryExceeded {
    pub limit: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("needs more than its limit of {limit} table entries (`limits.max_table_entries`)")]
pub struct TableExceeded {
    pub limit: usize,
}

// === impl MemoryTotal ===

impl MemoryTotal {
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Total { limit, used: AtomicUsize::new(0) }))
    }

    /// Bytes that instances have now.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> Result<(), TotalExceeded> {
        let Total { limit, used } = &*self.0;
        let more = |used: usize| used.checked_add(bytes).filter(|sum| sum <= limit);
        let taken = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(drop).map_err(|_| TotalExceeded { limit: *limit })
    }
}

// === impl MemoryCap ===

impl MemoryCap {
    pub fn new(limit: usize, max_table_entries: usize, total: MemoryTotal) -> Self {
        Self { limit, used: 0, total, max_table_entries, table_entries: 0 }
    }
}

impl ResourceLimiter for MemoryCap {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            return Err(MemoryExceeded { limit: self.limit }.into());
        }
        self.total.take(used - self.used)?;
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let entries = self.table_entries.saturating_add(desired.saturating_sub(current));
        if entries > self.max_table_entries {
            return Err(TableExceeded { limit: self.max_table_entries }.into());
        }
        self.table_entries = entries;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_TABLES
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES
    }
}

impl Drop for MemoryCap {
    fn drop(&mut self) {
        self.total.0.used.fetch_sub(self.used, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_for_all_memories_together() {
        let mut cap = MemoryCap::new(100, 0, MemoryTotal::new(1_000));
        assert!(cap.memory_growing(0, 60, None).is_ok());
        assert!(cap.memory_growing(0, 60, None).is_err());
        assert!(cap.memory_growing(60, 100, None).is_ok());
    }

    #[test]
    fn and_that_of_table_entries_for_all_tables() {
        let mut cap = MemoryCap::new(0, 10, MemoryTotal::new(0));
        assert!(cap.table_growing(0, 10, None).is_ok());
        assert!(cap.table_growing(0, 1, None).is_err());
    }

    #[test]
    fn instances_have_a_limit_together_and_give_back_what_they_had() {
        let total = MemoryTotal::new(100);
        let mut one = MemoryCap::new(80, 0, total.clone());
        let mut other = MemoryCap::new(80, 0, total.clone());
        assert!(one.memory_growing(0, 60, None).is_ok() && other.memory_growing(0, 40, None).is_ok());
        assert!(other.memory_growing(40, 41, None).unwrap_err().is::<TotalExceeded>());
        assert_eq!(total.used(), 100);
        drop(one);
        assert_eq!(total.used(), 40);
        assert!(other.memory_growing(40, 80, None).is_ok());
    }
}
