//! The plugins of a configuration: each loaded once, and again where it did not load and might.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::chain::Refused;
use crate::config::{self, PluginId};
use crate::plugin::{Engine, LedgerError, LoadError, LoadedPlugin, MemoryTotal, PluginStats, StateStore, Trust};

pub struct Loader {
    plugins: Vec<Entry>,
    /// None without plugins.
    engine: Option<Engine>,
    trust: Mutex<Trust>,
}

struct Entry {
    spec: config::Plugin,
    stats: Arc<PluginStats>,
    found: Mutex<Result<LoadedPlugin, Arc<LoadError>>>,
}

// === impl Loader ===

impl Loader {
    /// Tries all of them, in the order of the configuration.
    pub fn load(plugins: &[config::Plugin], engine: Option<Engine>, trust: Trust) -> Self {
        let entry = |spec: &config::Plugin| {
            let stats = Arc::<PluginStats>::default();
            let found = Mutex::new(load(engine.as_ref()?, &trust, spec, &stats));
            Some(Entry { spec: spec.clone(), stats, found })
        };
        let plugins = plugins.iter().filter_map(entry).collect();
        Self { plugins, engine, trust: Mutex::new(trust) }
    }

    /// Those that are there, with a gap for each that is not.
    pub fn loaded(&self) -> Vec<Option<LoadedPlugin>> {
        self.plugins.iter().map(|entry| entry.found().as_ref().ok().cloned()).collect()
    }

    /// Why the others are not.
    pub fn refusals(&self) -> impl Iterator<Item = String> {
        let refusal = |entry: &Entry| entry.found().as_ref().err().map(|error| entry.refused(error).to_string());
        self.plugins.iter().filter_map(refusal)
    }

    /// Names, and what is counted of each.
    pub fn stats(&self) -> impl Iterator<Item = (&str, &Arc<PluginStats>)> {
        self.plugins.iter().map(|entry| (entry.spec.name.as_str(), &entry.stats))
    }

    /// What it remembers in this binding: more than it may need, when it has not been seen yet.
    pub fn store(&self, id: PluginId, binding: &str) -> StateStore {
        let Some(entry) = id.of(&self.plugins) else { return StateStore::default() };
        match &*entry.found() {
            Ok(plugin) => plugin.store(binding),
            Err(_) => StateStore::alone(binding, &entry.spec.name, &entry.spec.limits),
        }
    }

    /// The plugin, as it was found at the last attempt.
    pub fn get(&self, id: PluginId) -> Result<LoadedPlugin, Refused> {
        self.find(id, false)
    }

    /// The same, after another attempt where that may help.
    pub fn get_again(&self, id: PluginId) -> Result<LoadedPlugin, Refused> {
        self.find(id, true)
    }

    /// What runs from now on must not become older. To be said once all the rest has succeeded.
    pub fn remember_versions(&self) -> Result<(), LedgerError> {
        let loaded: Vec<_> = self.loaded().into_iter().flatten().collect();
        self.trust().remember(loaded.iter().map(|plugin| (plugin.name(), plugin.provenance())))
    }

    /// What all instances have; none without plugins.
    pub fn memory(&self) -> Option<&MemoryTotal> {
        self.engine.as_ref().map(Engine::memory)
    }

    /// Components that were not in the cache.
    pub fn compiled(&self) -> u64 {
        self.engine.as_ref().map_or(0, Engine::compiled)
    }

    fn find(&self, id: PluginId, again: bool) -> Result<LoadedPlugin, Refused> {
        let (Some(entry), Some(engine)) = (id.of(&self.plugins), &self.engine) else {
            return Err(Refused { plugin: String::new(), reason: "there is no such plugin".into(), may_pass: false });
        };
        let mut found = entry.found();
        if again && found.as_ref().is_err_and(|error| error.problem.may_pass()) {
            let mut trust = self.trust();
            *found = load(engine, &trust, &entry.spec, &entry.stats);
            if let Ok(plugin) = &*found {
                let version = std::iter::once((plugin.name(), plugin.provenance()));
                if let Err(error) = trust.remember(version) {
                    tracing::warn!(plugin = plugin.name(), "its version is not remembered: {error}");
                }
            }
        }
        found.clone().map_err(|error| entry.refused(&error))
    }

    fn trust(&self) -> MutexGuard<'_, Trust> {
        // Whatever panicked ends the process.
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Entry ===

impl Entry {
    /// Held while it is loaded: bindings that share it do not load it twice.
    fn found(&self) -> MutexGuard<'_, Result<LoadedPlugin, Arc<LoadError>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self, error: &LoadError) -> Refused {
        let (plugin, may_pass) = (self.spec.name.clone(), error.problem.may_pass());
        Refused { reason: format!("plugin `{plugin}`: {error}"), plugin, may_pass }
    }
}

fn load(
    engine: &Engine,
    trust: &Trust,
    spec: &config::Plugin,
    stats: &Arc<PluginStats>,
) -> Result<LoadedPlugin, Arc<LoadError>> {
    LoadedPlugin::load_counted(engine, trust, spec, Arc::clone(stats)).map_err(Arc::new)
}
