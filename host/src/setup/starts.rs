//! How the chains of a gateway begin: each by itself, on threads of their own, so that what is wrong with one plugin stops the bindings
//! that use it and no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::loader::Loader;
use super::plugin_state;
use crate::chain::{Begin, Chain, Means, Refused, Standing, Starter};
use crate::config::{Binding, Config};
use crate::plugin::LoadedPlugin;

/// What all plugins together may still remember.
struct StateRoom {
    taken: AtomicUsize,
    limit: usize,
}

/// One chain for each binding that has plugins, in order. They start meanwhile.
pub fn begin(config: &Config, loader: &Arc<Loader>, starter: &Starter) -> (Vec<Chain>, Vec<Standing>) {
    let room = Arc::new(StateRoom { taken: AtomicUsize::new(0), limit: plugin_state::state_limit(config) });
    let with_plugins = config.bindings.iter().filter(|binding| !binding.plugins.is_empty());
    let chain = |binding: &Binding| {
        let stores: Vec<_> = binding.plugins.iter().map(|id| loader.store(*id, &binding.name)).collect();
        let standing = Standing::new(&Arc::from(&*binding.name), binding.on_start_failure);
        let means = Means { stores: stores.clone(), starter: Some(starter.clone()) };
        standing.begin(starter, attempts(binding.clone(), Arc::clone(loader), means, Arc::clone(&room)));
        (Chain::late(standing.clone(), stores), standing)
    };
    with_plugins.map(chain).unzip()
}

/// Why these bindings keep the gateway from starting.
pub fn refusals(standings: &[Standing]) -> Vec<String> {
    let strict = standings.iter().filter(|standing| standing.is_strict());
    strict.filter_map(Standing::stopped).map(|stopped| stopped.why.to_string()).collect()
}

fn attempts(binding: Binding, loader: Arc<Loader>, means: Means, room: Arc<StateRoom>) -> Begin {
    let (mut again, mut has_room) = (false, false);
    Box::new(move || {
        let find = |id| if again { loader.get_again(id) } else { loader.get(id) };
        let plugins = binding.plugins.iter().map(|id| find(*id)).collect::<Result<Vec<_>, _>>();
        again = true;
        let plugins = plugins?;
        if let Some(reason) = plugin_state::misfit(&binding, &plugins) {
            return Err(of_binding(&plugins, reason));
        }
        let wanted = if has_room { 0 } else { state_of(&plugins, &binding) };
        room.take(wanted).map_err(|reason| of_binding(&plugins, reason))?;
        has_room = true;
        Chain::load_with(&binding.name, &plugins, &binding.faults, &means).map_err(|error| Refused {
            reason: error.to_string(),
            plugin: error.plugin,
            // A plugin may depend on more than its configuration: a grant, a mistake of its own.
            may_pass: error.reason.may_pass(),
        })
    })
}

/// Of the configuration more than of a plugin: the first stands for all.
fn of_binding(plugins: &[LoadedPlugin], reason: String) -> Refused {
    let plugin = plugins.first().map_or("", LoadedPlugin::name).to_owned();
    Refused { plugin, reason, may_pass: false }
}

fn state_of(plugins: &[LoadedPlugin], binding: &Binding) -> usize {
    plugins.iter().map(|plugin| plugin.store(&binding.name)).map(|store| store.quota()).sum()
}

// === impl StateRoom ===

impl StateRoom {
    fn take(&self, wanted: usize) -> Result<(), String> {
        let more = |taken: usize| Some(taken.saturating_add(wanted)).filter(|sum| wanted == 0 || *sum <= self.limit);
        let taken = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.map(drop).map_err(|taken| plugin_state::no_room(taken.saturating_add(wanted), self.limit))
    }
}
