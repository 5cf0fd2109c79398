//! What a configuration points to, opened and tried: components, plugin settings, certificates, passwords.
//!
//! [`installation`] says who we are. [`plugin_state`] looks at what only plugins that are loaded can say: who exports `timer`, who remembers.
//!
//! Everything is tried, so that everything that is wrong is told at once. The gateway starts from a [`Setup`] or not at all.

pub mod installation;
pub mod plugin_state;
mod secrets;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::chain::Chain;
use crate::config::Config;
use crate::egress;
use crate::plugin::{Engine, EngineError, LedgerError, LoadedPlugin, Trust};

pub use self::secrets::exposed;

/// Compiled plugins, in the data folder.
const COMPILED: &str = "compiled";

pub struct Setup {
    /// In the order of the configuration.
    pub upstreams: Vec<egress::Prepared>,
    pub plugins: Vec<LoadedPlugin>,
    /// None without plugins.
    pub engine: Option<Engine>,
    pub trust: Trust,
    /// One for each binding that has plugins, in order.
    pub chains: Vec<Chain>,
}

/// All that is wrong with what the configuration points to. Never empty.
#[derive(Debug)]
pub struct Refusals(pub Vec<String>);

/// Where the gateway keeps compiled plugins.
pub fn cache(config: &Config) -> PathBuf {
    config.gateway.data_dir.join(COMPILED)
}

/// The same for commands beside it: only in a data folder that is there and is this user's, so that none of them makes a folder which
/// the gateway, as another user, could not use.
pub fn shared_cache(config: &Config) -> Option<PathBuf> {
    let folder = std::fs::metadata(&config.gateway.data_dir).ok()?;
    let is_ours = folder.is_dir() && folder.uid() == rustix::process::geteuid().as_raw();
    is_ours.then(|| cache(config))
}

/// `cache` is the folder for compiled plugins; without one nothing is written.
pub fn prepare(config: &Config, cache: Option<&Path>) -> Result<Setup, Refusals> {
    let mut refusals = Vec::new();
    let upstreams = config.upstreams.iter().map(egress::prepare);
    let upstreams = upstreams.filter_map(|upstream| keep(upstream, &mut refusals)).collect();
    let trust = keep(Trust::open(&config.trust, &config.gateway.data_dir), &mut refusals);
    let engine = keep(engine(config, cache), &mut refusals).flatten();
    let plugins = load_plugins(config, engine.as_ref(), trust.as_ref(), &mut refusals);
    let chains = match plugins.iter().all(Option::is_some) {
        true => start_chains(config, &plugins, &mut refusals),
        false => Vec::new(),
    };
    let plugins: Vec<_> = plugins.into_iter().flatten().collect();
    if refusals.is_empty() {
        refusals.extend(plugin_state::refusals(config, &plugins, &chains));
    }
    match trust {
        Some(trust) if refusals.is_empty() => Ok(Setup { upstreams, plugins, engine, trust, chains }),
        _ => Err(Refusals(refusals)),
    }
}

/// Only when there is a plugin that needs it.
fn engine(config: &Config, cache: Option<&Path>) -> Result<Option<Engine>, EngineError> {
    match config.plugins.is_empty() {
        true => Ok(None),
        false => Engine::new(&config.engine, cache).map(Some),
    }
}

/// In the order of the configuration, with a gap for each that is refused.
fn load_plugins(
    config: &Config,
    engine: Option<&Engine>,
    trust: Option<&Trust>,
    refusals: &mut Vec<String>,
) -> Vec<Option<LoadedPlugin>> {
    let (Some(engine), Some(trust)) = (engine, trust) else { return vec![None; config.plugins.len()] };
    let load = |plugin| LoadedPlugin::load(engine, trust, plugin);
    let named =
        config.plugins.iter().map(|plugin| load(plugin).map_err(|error| format!("plugin `{}`: {error}", plugin.name)));
    named.map(|plugin| keep(plugin, refusals)).collect()
}

/// Starts every instance, so that settings which a plugin does not accept are known now.
fn start_chains(config: &Config, plugins: &[Option<LoadedPlugin>], refusals: &mut Vec<String>) -> Vec<Chain> {
    let with_plugins = config.bindings.iter().filter(|binding| !binding.plugins.is_empty());
    let chain = |binding: &crate::config::Binding| {
        let of_binding = binding.plugins.iter().filter_map(|plugin| plugin.of(plugins)?.clone());
        Chain::load(&binding.name, &of_binding.collect::<Vec<_>>(), &binding.faults)
    };
    with_plugins.map(chain).filter_map(|chain| keep(chain, refusals)).collect()
}

impl Setup {
    /// What runs from now on must not become older. To be said once all the rest has succeeded.
    pub fn remember_versions(&mut self) -> Result<(), LedgerError> {
        let running = self.plugins.iter().map(|plugin| (plugin.name(), plugin.provenance()));
        self.trust.remember(running)
    }

    /// Components that were not in the cache.
    pub fn compiled(&self) -> u64 {
        self.engine.as_ref().map_or(0, Engine::compiled)
    }
}

fn keep<T, E: std::fmt::Display>(result: Result<T, E>, refusals: &mut Vec<String>) -> Option<T> {
    result.map_err(|error| refusals.push(error.to_string())).ok()
}

impl std::fmt::Display for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("\nerror: "))
    }
}

impl std::error::Error for Refusals {}
