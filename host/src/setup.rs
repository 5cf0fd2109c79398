//! What a configuration points to, opened and tried: components, plugin settings, certificates, passwords.
//!
//! [`installation`] says who we are. [`plugin_state`] looks at what only plugins that are loaded can say: who exports `timer`, who remembers.
//!
//! [`prepare`] tries everything, so that everything that is wrong is told at once, and has a [`Setup`] or nothing: for those who only
//! look. A gateway that is to run begins with [`begin`]: what is wrong with a plugin is then the matter of the bindings that use it.

pub mod changes;
pub mod descriptors;
mod found;
pub mod installation;
mod loader;
pub mod plugin_state;
mod secrets;
mod starts;
mod writable;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::auth::{self, Users};
use crate::chain::{Chain, Standing};
use crate::config::{Config, Listener};
use crate::egress;
use crate::ingress::tls::Acceptor;
use crate::plugin::{Engine, EngineError, LoadedPlugin, Trust};

pub use loader::Loader;
pub use starts::Threads;

/// Compiled plugins, in the data folder.
const COMPILED: &str = "compiled";

pub struct Setup {
    /// Of the password file, where a listener asks for one.
    pub users: Option<Users>,
    /// Of each listener, in the order of the configuration, as are upstreams.
    pub tls: Vec<Option<Acceptor>>,
    pub upstreams: Vec<egress::Prepared>,
    pub plugins: Arc<Loader>,
    /// One for each binding that has plugins, in order.
    pub chains: Vec<Chain>,
    /// How they stand; none where all have started.
    pub standings: Vec<Standing>,
}

/// All that is wrong with what the configuration points to. Never empty.
#[derive(Debug)]
pub struct Refusals(pub Vec<String>);

/// The files by which devices are let in.
pub struct Doors {
    /// Of the password file, where a listener asks for one.
    pub users: Option<Users>,
    /// Of each listener, in the order of the configuration.
    pub tls: Vec<Option<Acceptor>>,
}

/// Files that others on this machine can read or write and should not, each as a sentence.
pub fn exposed(config: &Config) -> Vec<String> {
    [secrets::exposed(config), writable::by_anybody(config)].concat()
}

/// What does not depend on a plugin.
struct Ground {
    doors: Doors,
    upstreams: Vec<egress::Prepared>,
    engine: Option<Engine>,
    trust: Trust,
}

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
    let ground = ground(config, cache, &mut refusals);
    let Some(Ground { doors: Doors { users, tls }, upstreams, engine, trust }) = ground else {
        return Err(Refusals(refusals));
    };
    let loader = Loader::load(config, engine, trust);
    refusals.extend(loader.refusals());
    let plugins = loader.loaded();
    let chains = match plugins.iter().all(Option::is_some) {
        true => start_chains(config, &plugins, &mut refusals),
        false => Vec::new(),
    };
    let plugins: Vec<_> = plugins.into_iter().flatten().collect();
    if refusals.is_empty() {
        refusals.extend(plugin_state::refusals(config, &plugins, &chains));
    }
    match refusals.is_empty() {
        true => Ok(Setup { users, tls, upstreams, plugins: Arc::new(loader), chains, standings: Vec::new() }),
        false => Err(Refusals(refusals)),
    }
}

/// For a gateway that is to run: its plugins are compiled and start on these threads.
pub fn begin(config: &Config, cache: &Path, threads: &Threads) -> Result<Setup, Refusals> {
    let mut refusals = Vec::new();
    match ground(config, Some(cache), &mut refusals) {
        Some(Ground { doors: Doors { users, tls }, upstreams, engine, trust }) if refusals.is_empty() => {
            let plugins = Loader::begin(config, engine, trust, &threads.compilers);
            let (chains, standings) = starts::begin(config, &plugins, threads);
            Ok(Setup { users, tls, upstreams, plugins, chains, standings })
        }
        _ => Err(Refusals(refusals)),
    }
}

/// For who reads a configuration while another one runs.
pub fn doors(config: &Config) -> Result<Doors, Refusals> {
    let mut refusals = Vec::new();
    let doors = open_doors(config, &mut refusals);
    if refusals.is_empty() { Ok(doors) } else { Err(Refusals(refusals)) }
}

fn open_doors(config: &Config, refusals: &mut Vec<String>) -> Doors {
    let tls = config.broker.listeners.iter().filter_map(|listener| keep(tls(listener), refusals)).collect();
    let users = config.access.passwords.as_deref().and_then(|path| keep(auth::file::read(path), refusals));
    Doors { users, tls }
}

/// None where even plugins cannot be looked at.
fn ground(config: &Config, cache: Option<&Path>, refusals: &mut Vec<String>) -> Option<Ground> {
    let doors = open_doors(config, refusals);
    let upstreams = config.upstreams.iter().map(egress::prepare);
    let upstreams = upstreams.filter_map(|upstream| keep(upstream, refusals)).collect();
    let trust = keep(Trust::open(&config.trust, &config.gateway.data_dir), refusals);
    let engine = keep(engine(config, cache), refusals);
    Some(Ground { doors, upstreams, engine: engine?, trust: trust? })
}

fn tls(listener: &Listener) -> Result<Option<Acceptor>, String> {
    Acceptor::load(listener).map_err(|error| format!("listener `{}`: {error}", listener.name))
}

/// Only when there is a plugin that needs it.
fn engine(config: &Config, cache: Option<&Path>) -> Result<Option<Engine>, EngineError> {
    match config.plugins.is_empty() {
        true => Ok(None),
        false => Engine::new(&config.engine, cache).map(Some),
    }
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
    /// Whether all plugins have been tried, or are being compiled.
    pub fn is_settled(&self) -> bool {
        self.standings.iter().all(|standing| standing.is_compiling() || !standing.is_starting())
    }

    /// Whether those bindings have been tried that may keep the gateway from starting, and whether they do.
    pub fn strict(&self) -> Option<Result<(), Refusals>> {
        if self.standings.iter().any(|standing| standing.is_strict() && standing.is_starting()) {
            return None;
        }
        let refusals = starts::refusals(&self.standings);
        Some(if refusals.is_empty() { Ok(()) } else { Err(Refusals(refusals)) })
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
