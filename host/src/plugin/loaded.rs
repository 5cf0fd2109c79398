//! A plugin of the configuration, loaded once; each binding that uses it has its own instance of it.

use std::sync::Arc;

use crate::control::config::{Grants, Plugin, PluginLimits};

use super::component::Component;
use super::engine::Engine;
use super::instance::{Instance, StartError};
use super::refusal::LoadError;
use super::state::HostState;
use super::stats::PluginStats;

/// Cheap to clone.
#[derive(Clone)]
pub struct LoadedPlugin {
    name: Arc<str>,
    component: Arc<Component>,
    limits: PluginLimits,
    grants: Grants,
    config: Arc<str>,
    stats: Arc<PluginStats>,
}

// === impl LoadedPlugin ===

impl LoadedPlugin {
    pub fn load(engine: &Engine, plugin: &Plugin) -> Result<Self, LoadError> {
        Ok(Self {
            name: plugin.name.as_str().into(),
            component: Arc::new(Component::load(engine, &plugin.component, plugin.sha256.as_deref(), plugin.grants)?),
            limits: plugin.limits.clone(),
            grants: plugin.grants,
            config: plugin.config_json.as_str().into(),
            stats: Arc::default(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Over all bindings.
    pub fn stats(&self) -> &Arc<PluginStats> {
        &self.stats
    }

    pub fn start(&self) -> Result<Instance, StartError> {
        let state = HostState::new(Arc::clone(&self.name), &self.limits, self.grants);
        Instance::start(&self.component, state, &self.limits, &self.config)
    }
}
