//! What the host keeps for one instance, in its store.

use std::sync::Arc;

use crate::config::{Grants, PluginLimits};

use super::capability::{EmptyWorld, Origins, PluginLog};
use super::deadline::Deadline;
use super::memory::{MemoryCap, MemoryTotal};
use super::metrics::PluginMetrics;
use super::state_store::StateStore;

pub struct HostState {
    pub log: PluginLog,
    pub origins: Origins,
    pub world: EmptyWorld,
    pub memory: MemoryCap,
    pub deadline: Deadline,
    pub store: StateStore,
    pub metrics: Arc<PluginMetrics>,
}

// === impl HostState ===

impl HostState {
    pub fn new(
        log: PluginLog,
        limits: &PluginLimits,
        grants: Grants,
        store: StateStore,
        metrics: Arc<PluginMetrics>,
        total: MemoryTotal,
    ) -> Self {
        Self {
            log,
            origins: Origins::default(),
            world: EmptyWorld::new(grants),
            memory: MemoryCap::new(limits.memory, limits.max_table_entries, total),
            deadline: Deadline::default(),
            store,
            metrics,
        }
    }
}
