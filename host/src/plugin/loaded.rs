//! A plugin of the configuration, loaded once; each binding that uses it has its own instance of it.

use std::sync::Arc;

use crate::base::clock;
use crate::config::{Grants, Plugin, PluginLimits};

use super::capability::PluginLog;
use super::component::Component;
use super::engine::Engine;
use super::host_state::HostState;
use super::instance::{Instance, StartError};
use super::refusal::{LoadError, Problem};
use super::state_budget::StateBudget;
use super::state_store::StateStore;
use super::stats::PluginStats;
use super::trust::{Provenance, Trust};

/// Cheap to clone.
#[derive(Clone)]
pub struct LoadedPlugin {
    name: Arc<str>,
    component: Arc<Component>,
    provenance: Provenance,
    limits: PluginLimits,
    grants: Grants,
    config: Arc<str>,
    stats: Arc<PluginStats>,
    log: PluginLog,
    state_budget: StateBudget,
}

// === impl LoadedPlugin ===

impl LoadedPlugin {
    pub fn load(engine: &Engine, trust: &Trust, plugin: &Plugin) -> Result<Self, LoadError> {
        Self::load_counted(engine, trust, plugin, Arc::default())
    }

    /// Which counts there: what is shown of a plugin outlives attempts to load it.
    pub fn load_counted(
        engine: &Engine,
        trust: &Trust,
        plugin: &Plugin,
        stats: Arc<PluginStats>,
    ) -> Result<Self, LoadError> {
        Self::examine(engine, trust, plugin, stats).map_err(|problem| problem.at(&plugin.component))
    }

    /// The file is read once: what was found trustworthy is what is compiled.
    fn examine(engine: &Engine, trust: &Trust, plugin: &Plugin, stats: Arc<PluginStats>) -> Result<Self, Problem> {
        let file = engine.read(&plugin.component)?;
        let provenance = trust.examine(plugin, &file)?;
        let name = Arc::<str>::from(plugin.name.as_str());
        let log = PluginLog::new(name.clone(), plugin.limits.log_per_second, plugin.limits.max_log_bytes);
        Ok(Self {
            name,
            log,
            component: Arc::new(Component::link(engine, &file, plugin.grants)?),
            provenance,
            limits: plugin.limits.clone(),
            grants: plugin.grants,
            config: plugin.config_json.as_str().into(),
            stats,
            state_budget: StateBudget::new(&plugin.limits, clock::now()),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Who signed it, and which version it is.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Over all bindings.
    pub fn stats(&self) -> &Arc<PluginStats> {
        &self.stats
    }

    /// The limits of each instance.
    pub fn limits(&self) -> &PluginLimits {
        &self.limits
    }

    /// What it remembers in this binding; nothing, when it has no use for state.
    pub fn store(&self, binding: &str) -> StateStore {
        match self.component.inspection().stateful {
            true => StateStore::new(binding, &self.name, self.limits.state, self.state_budget.clone()),
            false => StateStore::default(),
        }
    }

    /// The same, or the one among these that was made for it before it was loaded.
    pub fn store_among(&self, stores: &[StateStore], binding: &str) -> StateStore {
        let is_stateful = self.component.inspection().stateful;
        let made = stores.iter().find(|store| is_stateful && store.belongs_to(binding, &self.name));
        made.cloned().unwrap_or_else(|| self.store(binding))
    }

    /// An instance that remembers nothing.
    #[cfg(test)]
    pub fn start(&self) -> Result<Instance, StartError> {
        self.start_with(&StateStore::default())
    }

    pub fn start_with(&self, store: &StateStore) -> Result<Instance, StartError> {
        let metrics = Arc::clone(&self.stats.metrics);
        let total = self.component.engine.memory().clone();
        let state = HostState::new(self.log.clone(), &self.limits, self.grants, store.clone(), metrics, total);
        Instance::start(&self.component, state, &self.limits, &self.config)
    }
}
