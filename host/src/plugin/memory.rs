//! The memory of one instance, counted over all of its linear memories.
//!
//! Not wasmtime's `StoreLimits`, which limits each memory by itself, so that a component with eight of them has eight times
//! the limit; and whose error can be told from others by its words only.

use wasmtime::ResourceLimiter;

use super::limits::{MAX_INSTANCES, MAX_MEMORIES, MAX_TABLES};

/// Growth beyond the limit traps. A guest that gets -1 instead calls its own abort handler, which says less.
pub struct MemoryCap {
    limit: usize,
    used: usize,
    max_table_entries: usize,
    table_entries: usize,
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

// === impl MemoryCap ===

impl MemoryCap {
    pub fn new(limit: usize, max_table_entries: usize) -> Self {
        Self { limit, used: 0, max_table_entries, table_entries: 0 }
    }
}

impl ResourceLimiter for MemoryCap {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            return Err(MemoryExceeded { limit: self.limit }.into());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_for_all_memories_together() {
        let mut cap = MemoryCap::new(100, 0);
        assert!(cap.memory_growing(0, 60, None).is_ok());
        assert!(cap.memory_growing(0, 60, None).is_err());
        assert!(cap.memory_growing(60, 100, None).is_ok());
    }

    #[test]
    fn and_that_of_table_entries_for_all_tables() {
        let mut cap = MemoryCap::new(0, 10);
        assert!(cap.table_growing(0, 10, None).is_ok());
        assert!(cap.table_growing(0, 1, None).is_err());
    }
}
