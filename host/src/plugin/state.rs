//! What the host keeps for one instance, in its store.

use std::sync::Arc;

use super::capability::{EmptyWorld, Origins, PluginLog};
use super::memory::MemoryCap;
use super::metrics::PluginMetrics;
use super::store::StateStore;

pub struct HostState {
    pub log: PluginLog,
    pub origins: Origins,
    pub world: EmptyWorld,
    pub memory: MemoryCap,
    pub store: StateStore,
    pub metrics: Arc<PluginMetrics>,
}

// === impl HostState ===

impl HostState {
    pub fn new(plugin: Arc<str>, memory: usize, store: StateStore, metrics: Arc<PluginMetrics>) -> Self {
        Self {
            log: PluginLog::new(plugin),
            origins: Origins::default(),
            world: EmptyWorld::new(),
            memory: MemoryCap::new(memory),
            store,
            metrics,
        }
    }
}
