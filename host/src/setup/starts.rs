//! How the chains of a gateway begin: each by itself, on threads of their own, so that what is wrong with one plugin stops the bindings
//! that use it and no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::loader::Loader;
use super::plugin_state;
use crate::chain::{Begin, Chain, Means, NoChain, Refused, Standing, Starter, Told};
use crate::config::{Binding, Config, PluginId};
use crate::plugin::LoadedPlugin;

/// Where a binding has its plugins from.
struct Source {
    loader: Arc<Loader>,
    compilers: Starter,
}

/// What all plugins together may still remember.
struct StateRoom {
    taken: AtomicUsize,
    limit: usize,
}

/// The threads that plugins begin on.
pub struct Threads {
    pub starter: Starter,
    pub compilers: Starter,
}

/// One chain for each binding that has plugins, in order. They start meanwhile.
pub fn begin(config: &Config, loader: &Arc<Loader>, threads: &Threads) -> (Vec<Chain>, Vec<Standing>) {
    let (told, starter) = (Told::default(), &threads.starter);
    let room = Arc::new(StateRoom { taken: AtomicUsize::new(0), limit: plugin_state::state_limit(config) });
    let with_plugins = config.bindings.iter().filter(|binding| !binding.plugins.is_empty());
    let chain = |binding: &Binding| {
        let stores: Vec<_> = binding.plugins.iter().map(|id| loader.store(*id, &binding.name)).collect();
        let standing = Standing::new(&Arc::from(&*binding.name), binding.on_start_failure, &told);
        let means = Means { stores: stores.clone(), starter: Some(starter.clone()) };
        let source = Source { loader: Arc::clone(loader), compilers: threads.compilers.clone() };
        standing.begin(starter, attempts(binding.clone(), source, means, Arc::clone(&room)));
        (Chain::late(standing.clone(), stores), standing)
    };
    with_plugins.map(chain).unzip()
}

/// Why these bindings keep the gateway from starting.
pub fn refusals(standings: &[Standing]) -> Vec<String> {
    let strict = standings.iter().filter(|standing| standing.is_strict());
    let mut reasons = Vec::new();
    for why in strict.filter_map(Standing::stopped).map(|stopped| stopped.why.to_string()) {
        // Of a plugin that several of them use.
        if !reasons.contains(&why) {
            reasons.push(why);
        }
    }
    reasons
}

fn attempts(binding: Binding, source: Source, means: Means, room: Arc<StateRoom>) -> Begin {
    let (mut again, mut has_room) = (false, false);
    Box::new(move || {
        let plugins = binding.plugins.iter().map(|id| source.find(*id, again)).collect::<Result<Vec<_>, _>>();
        // After one that was only not compiled yet, what became of it is asked first.
        again = !matches!(plugins, Err(NoChain::NotYet));
        let plugins = plugins?;
        if let Some(reason) = plugin_state::misfit(&binding, &plugins) {
            return Err(of_binding(&plugins, reason));
        }
        let wanted = if has_room { 0 } else { state_of(&plugins, &binding) };
        room.take(wanted).map_err(|reason| of_binding(&plugins, reason))?;
        has_room = true;
        Chain::load_with(&binding.name, &plugins, &binding.faults, &means).map_err(|error| {
            NoChain::Refused(Refused {
                reason: error.to_string(),
                plugin: error.plugin,
                // A plugin may depend on more than its configuration: a grant, a mistake of its own.
                may_pass: error.reason.may_pass(),
            })
        })
    })
}

/// Of the configuration more than of a plugin: the first stands for all.
fn of_binding(plugins: &[LoadedPlugin], reason: String) -> NoChain {
    let plugin = plugins.first().map_or("", LoadedPlugin::name).to_owned();
    NoChain::Refused(Refused { plugin, reason, may_pass: false })
}

fn state_of(plugins: &[LoadedPlugin], binding: &Binding) -> usize {
    plugins.iter().map(|plugin| plugin.store(&binding.name)).map(|store| store.quota()).sum()
}

// === impl Source ===

impl Source {
    fn find(&self, id: PluginId, again: bool) -> Result<LoadedPlugin, NoChain> {
        if again { self.loader.get_again(id, &self.compilers) } else { self.loader.get(id) }
    }
}

// === impl StateRoom ===

impl StateRoom {
    fn take(&self, wanted: usize) -> Result<(), String> {
        let more = |taken: usize| Some(taken.saturating_add(wanted)).filter(|sum| wanted == 0 || *sum <= self.limit);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(drop).map_err(|taken| plugin_state::no_room(taken.saturating_add(wanted), self.limit))
    }
}
