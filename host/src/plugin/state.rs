//! What the host keeps for one instance, in its store.

use std::sync::Arc;

use super::capability::{EmptyWorld, Origins, PluginLog};
use super::memory::MemoryCap;

pub struct HostState {
    pub log: PluginLog,
    pub origins: Origins,
    pub world: EmptyWorld,
    pub memory: MemoryCap,
}

// === impl HostState ===

impl HostState {
    pub fn new(plugin: Arc<str>, memory: usize) -> Self {
        Self {
            log: PluginLog::new(plugin),
            origins: Origins::default(),
            world: EmptyWorld::new(),
            memory: MemoryCap::new(memory),
        }
    }
}
