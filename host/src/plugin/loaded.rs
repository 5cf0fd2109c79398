//! A plugin of the configuration, loaded once; each binding that uses it has its own instance of it.

use std::sync::{Arc, OnceLock};

use crate::base::clock;
use crate::config::{Grants, Plugin, PluginLimits};

use super::capability::PluginLog;
use super::component::{Component, Found};
use super::engine::Engine;
use super::file::ComponentFile;
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
    log: PluginLog,
    known: Known,
}

/// What is known of a plugin of the configuration while it is loaded, and outlives attempts to load it. Cheap to clone.
#[derive(Clone)]
pub struct Known {
    pub stats: Arc<PluginStats>,
    /// Of its component, once it is loaded.
    pub digest: Digest,
    state_budget: StateBudget,
}

/// In hexadecimal.
pub type Digest = Arc<OnceLock<String>>;

/// What can be said of a plugin without compiling it.
pub enum Looked {
    Loaded(Box<LoadedPlugin>),
    /// It is not in the cache.
    Uncompiled {
        is_stateful: bool,
    },
}

// === impl LoadedPlugin ===

impl LoadedPlugin {
    pub fn load(engine: &Engine, trust: &Trust, plugin: &Plugin) -> Result<Self, LoadError> {
        Self::load_with(engine, |file| trust.examine(plugin, file), plugin, &Known::new(plugin))
    }

    pub fn load_with(
        engine: &Engine,
        trust: impl FnOnce(&ComponentFile) -> Result<Provenance, Problem>,
        plugin: &Plugin,
        known: &Known,
    ) -> Result<Self, LoadError> {
        trusted(engine, trust, plugin, |file, provenance| {
            Ok(Self::new(Component::make(engine, file, plugin.grants)?, provenance, plugin, known))
        })
    }

    /// The same as far as it takes no time to speak of.
    pub fn look(
        engine: &Engine,
        trust: impl FnOnce(&ComponentFile) -> Result<Provenance, Problem>,
        plugin: &Plugin,
        known: &Known,
    ) -> Result<Looked, LoadError> {
        trusted(engine, trust, plugin, |file, provenance| {
            Ok(match Component::find(engine, file, plugin.grants)? {
                Found::Linked(component) => Looked::Loaded(Box::new(Self::new(component, provenance, plugin, known))),
                Found::Uncompiled(inspection) => Looked::Uncompiled { is_stateful: inspection.stateful },
            })
        })
    }

    fn new(component: Component, provenance: Provenance, plugin: &Plugin, known: &Known) -> Self {
        // Of the first one that is loaded: another one is not loaded later.
        known.digest.get_or_init(|| component.inspection().sha256.clone());
        let name = Arc::<str>::from(plugin.name.as_str());
        let log = PluginLog::new(name.clone(), plugin.limits.log_per_second, plugin.limits.max_log_bytes);
        Self {
            name,
            log,
            component: Arc::new(component),
            provenance,
            limits: plugin.limits.clone(),
            grants: plugin.grants,
            config: plugin.config_json.as_str().into(),
            known: known.clone(),
        }
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
        &self.known.stats
    }

    /// The limits of each instance.
    pub fn limits(&self) -> &PluginLimits {
        &self.limits
    }

    /// What it remembers in this binding; nothing, when it has no use for state.
    pub fn store(&self, binding: &str) -> StateStore {
        match self.component.inspection().stateful {
            true => StateStore::new(binding, &self.name, self.limits.state, self.known.state_budget.clone()),
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
        let metrics = Arc::clone(&self.known.stats.metrics);
        let total = self.component.engine.memory().clone();
        let state = HostState::new(self.log.clone(), &self.limits, self.grants, store.clone(), metrics, total);
        Instance::start(&self.component, state, &self.limits, &self.config)
    }
}

/// The file is read once: what `trust` has found trustworthy is what is compiled.
fn trusted<T>(
    engine: &Engine,
    trust: impl FnOnce(&ComponentFile) -> Result<Provenance, Problem>,
    plugin: &Plugin,
    then: impl FnOnce(&ComponentFile, Provenance) -> Result<T, Problem>,
) -> Result<T, LoadError> {
    let file = engine.read(&plugin.component).map_err(|problem| problem.at(&plugin.component))?;
    let made = trust(&file).and_then(|provenance| then(&file, provenance));
    made.map_err(|problem| problem.at(&plugin.component))
}

// === impl Known ===

impl Known {
    pub fn new(plugin: &Plugin) -> Self {
        let state_budget = StateBudget::new(&plugin.limits, clock::now());
        Self { stats: Arc::default(), digest: Digest::default(), state_budget }
    }

    /// Of the same plugin with other code or another configuration: what was counted of it counts on.
    pub fn of_changed(&self, plugin: &Plugin) -> Self {
        Self { stats: self.stats.clone(), ..Self::new(plugin) }
    }

    /// What a plugin remembers in this binding that is not loaded yet, and may keep state.
    pub fn store(&self, binding: &str, plugin: &Plugin) -> StateStore {
        StateStore::new(binding, &plugin.name, plugin.limits.state, self.state_budget.clone())
    }
}
