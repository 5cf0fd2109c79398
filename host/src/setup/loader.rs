//! The plugins of a configuration: each loaded once, and again where it did not load and might.
//!
//! Everything but compiling is done at once, when a [`Loader`] is made. What has to be compiled is compiled there as well by who only looks
//! at a configuration ([`Loader::load`]); a gateway has it done by a thread of its own meanwhile ([`Loader::begin`]).

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::found::Found;
use crate::base::clock;
use crate::chain::{NoChain, Refused, Starter};
use crate::config::{self, Config, PluginId};
use crate::plugin::{
    Digest, Engine, Known, LedgerError, LoadError, LoadedPlugin, Looked, MemoryTotal, PluginStats, StateStore, Trust,
};

pub struct Loader {
    plugins: Vec<Arc<Entry>>,
    /// None without plugins.
    engine: Option<Engine>,
    trust: Arc<Mutex<Trust>>,
    /// The gateway runs: what is loaded from now on is remembered at once.
    runs: AtomicBool,
}

struct Entry {
    spec: config::Plugin,
    /// By a binding.
    is_used: bool,
    known: Known,
    found: Mutex<Found>,
}

// === impl Loader ===

impl Loader {
    /// Tries all of them, in the order of the configuration, and compiles those that have to be.
    pub fn load(config: &Config, engine: Option<Engine>, trust: Trust) -> Self {
        let loader = Self::look(config, engine, trust);
        for entry in &loader.plugins {
            let is_uncompiled = entry.found().is_uncompiled();
            if is_uncompiled {
                loader.compile(entry);
            }
        }
        loader
    }

    /// Those that have to be compiled come later, from the threads of `compilers`; first those that somebody waits for. The log has what
    /// is found.
    pub fn begin(config: &Config, engine: Option<Engine>, trust: Trust, compilers: &Starter) -> Arc<Self> {
        let loader = Arc::new(Self::look(config, engine, trust));
        let (used, unused): (Vec<_>, Vec<_>) = loader.plugins.iter().partition(|entry| entry.is_used);
        for entry in used.into_iter().chain(unused) {
            let is_uncompiled = entry.found().is_uncompiled();
            match is_uncompiled {
                true => loader.compile_on(compilers, entry.clone()),
                false => entry.tell(),
            }
        }
        loader
    }

    fn look(config: &Config, engine: Option<Engine>, trust: Trust) -> Self {
        let (trust, runs) = (Arc::new(Mutex::new(trust)), AtomicBool::new(false));
        let entry = |(index, spec): (usize, &config::Plugin)| {
            let (id, known) = (PluginId(index), Known::new(spec));
            let is_used = config.bindings.iter().any(|binding| binding.plugins.contains(&id));
            let found = Mutex::new(look(engine.as_ref()?, &trust, spec, &known));
            Some(Arc::new(Entry { spec: spec.clone(), is_used, known, found }))
        };
        let plugins = config.plugins.iter().enumerate().filter_map(entry).collect();
        Self { plugins, engine, trust, runs }
    }

    /// Which code plugins of both have: that which runs, and that which is in the file now. Where none runs there is nothing to compare.
    pub fn tell_code(&self, running: &mut Config, wanted: &mut Config) {
        let code_of = |name: &str| {
            let entry = self.plugins.iter().find(|entry| entry.spec.name == name)?;
            entry.known.digest.get().cloned()
        };
        running.plugins.iter_mut().for_each(|plugin| plugin.code = code_of(&plugin.name));
        let Some(engine) = &self.engine else { return };
        for plugin in wanted.plugins.iter_mut().filter(|plugin| code_of(&plugin.name).is_some()) {
            plugin.code = engine.digest(&plugin.component);
        }
    }

    /// For another configuration while this one runs: what is as before is shared, the rest is loaded and compiled now. An error where one
    /// of those that bindings use cannot be. `cache` is for a gateway that had no plugins.
    pub fn followed_by(&self, config: &Config, cache: &Path) -> Result<Self, Vec<String>> {
        let engine = match (&self.engine, config.plugins.is_empty()) {
            (None, false) => Some(Engine::new(&config.engine, Some(cache)).map_err(|error| vec![error.to_string()])?),
            (engine, _) => engine.clone(),
        };
        let mut next = Self { plugins: Vec::new(), engine, trust: self.trust.clone(), runs: AtomicBool::new(false) };
        for (index, spec) in config.plugins.iter().enumerate() {
            let before = self.plugins.iter().find(|entry| entry.spec.name == spec.name);
            if let Some(same) = before.filter(|before| before.is_as(spec)) {
                next.plugins.push(same.clone());
                continue;
            }
            let known = before.map_or_else(|| Known::new(spec), |before| before.known.of_changed(spec));
            let is_used = config.bindings.iter().any(|binding| binding.plugins.contains(&PluginId(index)));
            let found = Mutex::new(Found::Uncompiled { is_stateful: false });
            let entry = Entry { spec: spec.clone(), is_used, known, found };
            next.compile(&entry);
            next.plugins.push(Arc::new(entry));
        }
        let refused = |entry: &Arc<Entry>| {
            let is_new = !self.plugins.iter().any(|known| Arc::ptr_eq(known, entry));
            let found = entry.found();
            found.refused().filter(|_| is_new).map(|error| entry.refused(error).to_string())
        };
        let refusals: Vec<_> = next.plugins.iter().filter_map(refused).collect();
        if refusals.is_empty() { Ok(next) } else { Err(refusals) }
    }

    /// Those that are there, with a gap for each that is not.
    pub fn loaded(&self) -> Vec<Option<LoadedPlugin>> {
        self.plugins.iter().map(|entry| entry.found().loaded().cloned()).collect()
    }

    /// Why others are not.
    pub fn refusals(&self) -> impl Iterator<Item = String> {
        let refusal = |entry: &Arc<Entry>| Some(entry.refused(entry.found().refused()?).reason);
        self.plugins.iter().filter_map(refusal)
    }

    /// Names, and what is counted of each.
    pub fn stats(&self) -> impl Iterator<Item = (&str, &Arc<PluginStats>)> {
        self.plugins.iter().map(|entry| (entry.spec.name.as_str(), &entry.known.stats))
    }

    /// Its name, and the digest that its component has or will have.
    pub fn digest(&self, id: PluginId) -> Option<(String, Digest)> {
        id.of(&self.plugins).map(|entry| (entry.spec.name.clone(), entry.known.digest.clone()))
    }

    /// What it remembers in this binding: more than it may need, when it has not been seen yet.
    pub fn store(&self, id: PluginId, binding: &str) -> StateStore {
        let Some(entry) = id.of(&self.plugins) else { return StateStore::default() };
        match &*entry.found() {
            Found::Loaded(plugin) => plugin.store(binding),
            Found::Uncompiled { is_stateful: false } => StateStore::default(),
            Found::Uncompiled { is_stateful: true } | Found::Refused(_) => entry.known.store(binding, &entry.spec),
        }
    }

    /// The plugin, as it was found at the last attempt.
    pub fn get(&self, id: PluginId) -> Result<LoadedPlugin, NoChain> {
        let Some(entry) = id.of(&self.plugins) else { return Err(unknown()) };
        entry.get(&entry.found())
    }

    /// The same, after another attempt where that may help.
    pub fn get_again(self: &Arc<Self>, id: PluginId, compilers: &Starter) -> Result<LoadedPlugin, NoChain> {
        let (Some(entry), Some(engine)) = (id.of(&self.plugins), &self.engine) else { return Err(unknown()) };
        let mut found = entry.found();
        if found.may_pass() {
            *found = look(engine, &self.trust, &entry.spec, &entry.known);
            match &*found {
                Found::Loaded(plugin) => {
                    tell_loaded(plugin);
                    self.remember(plugin);
                }
                Found::Uncompiled { .. } => self.compile_on(compilers, entry.clone()),
                Found::Refused(_) => {}
            }
        }
        entry.get(&found)
    }

    /// What runs from now on must not become older. To be said once all the rest has succeeded.
    pub fn remember_versions(&self) -> Result<(), LedgerError> {
        // First: what is loaded from here on is in this list, or remembers itself.
        self.runs.store(true, Ordering::SeqCst);
        let loaded: Vec<_> = self.loaded().into_iter().flatten().collect();
        lock(&self.trust).remember(loaded.iter().map(|plugin| (plugin.name(), plugin.provenance())))
    }

    /// What all instances have; none without plugins.
    pub fn memory(&self) -> Option<&MemoryTotal> {
        self.engine.as_ref().map(Engine::memory)
    }

    fn compile_on(self: &Arc<Self>, compilers: &Starter, entry: Arc<Entry>) {
        let loader = Arc::clone(self);
        compilers.run(clock::now(), move || {
            let Some(engine) = &loader.engine else { return };
            let before = engine.compiled();
            loader.compile(&entry);
            entry.tell();
            // Another plugin may have been the same component.
            if engine.compiled() > before {
                tracing::info!(plugin = entry.spec.name, "compiled; the next start finds it in the cache");
            }
        });
    }

    /// Takes its time, in which nothing is locked.
    fn compile(&self, entry: &Entry) {
        let Some(engine) = &self.engine else { return };
        let trust = |file: &_| lock(&self.trust).examine(&entry.spec, file);
        let loaded = LoadedPlugin::load_with(engine, trust, &entry.spec, &entry.known);
        let found =
            loaded.map_or_else(|error| Found::Refused(Arc::new(error)), |plugin| Found::Loaded(Box::new(plugin)));
        *entry.found() = found.clone();
        if let Found::Loaded(plugin) = &found {
            self.remember(plugin);
        }
    }

    /// Of a gateway that does not run yet all are remembered together.
    fn remember(&self, plugin: &LoadedPlugin) {
        if !self.runs.load(Ordering::SeqCst) {
            return;
        }
        let version = std::iter::once((plugin.name(), plugin.provenance()));
        if let Err(error) = lock(&self.trust).remember(version) {
            tracing::warn!(plugin = plugin.name(), "its version is not remembered: {error}");
        }
    }
}

// === impl Entry ===

impl Entry {
    /// Whether it is what this asks for, code and all.
    fn is_as(&self, spec: &config::Plugin) -> bool {
        let of_one_code = config::Plugin { code: self.spec.code.clone(), ..spec.clone() };
        of_one_code == self.spec && self.known.digest.get() == spec.code.as_ref()
    }

    /// Held while it is looked at: bindings that share it do not do so twice. Not while it is compiled.
    fn found(&self) -> MutexGuard<'_, Found> {
        lock(&self.found)
    }

    /// Why it is refused its bindings tell, where it has some.
    fn tell(&self) {
        let found = self.found();
        if let Some(plugin) = found.loaded() {
            tell_loaded(plugin);
        }
        if let Some(error) = found.refused().filter(|_| !self.is_used) {
            tracing::error!("{}; no binding uses it", self.refused(error));
        }
    }

    fn get(&self, found: &Found) -> Result<LoadedPlugin, NoChain> {
        match found {
            Found::Loaded(plugin) => Ok(LoadedPlugin::clone(plugin)),
            Found::Uncompiled { .. } => Err(NoChain::NotYet),
            Found::Refused(error) => Err(NoChain::Refused(self.refused(error))),
        }
    }

    fn refused(&self, error: &LoadError) -> Refused {
        let (plugin, may_pass) = (self.spec.name.clone(), error.problem.may_pass());
        Refused { reason: format!("plugin `{plugin}`: {error}"), plugin, may_pass }
    }
}

fn tell_loaded(plugin: &LoadedPlugin) {
    let sha256 = &plugin.component().inspection().sha256;
    tracing::info!(plugin = plugin.name(), sha256, origin = %plugin.provenance(), "plugin loaded");
}

fn look(engine: &Engine, trust: &Mutex<Trust>, spec: &config::Plugin, known: &Known) -> Found {
    let trust = |file: &_| lock(trust).examine(spec, file);
    match LoadedPlugin::look(engine, trust, spec, known) {
        Ok(Looked::Loaded(plugin)) => Found::Loaded(plugin),
        Ok(Looked::Uncompiled { is_stateful }) => Found::Uncompiled { is_stateful },
        Err(error) => Found::Refused(Arc::new(error)),
    }
}

fn unknown() -> NoChain {
    NoChain::Refused(Refused { plugin: String::new(), reason: "there is no such plugin".into(), may_pass: false })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever panicked ends the process.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
