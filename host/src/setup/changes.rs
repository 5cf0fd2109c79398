//! The chains of bindings that a reload adds or changes, with their plugins loaded and started: what of it fails, fails before anything is
//! changed.

use std::path::Path;
use std::sync::Arc;

use super::loader::Loader;
use super::plugin_state::{misfit, no_room, state_limit};
use super::{Refusals, cache};
use crate::chain::{Chain, Means, NoChain, Starter};
use crate::config::{Binding, BindingChange, Config, change_of_binding};
use crate::plugin::{self, LoadedPlugin, StateStore};
use crate::spool::{Key, Value};

/// What plugins of the gateway that runs have and remember.
#[derive(Clone)]
pub struct Plugins {
    pub loader: Arc<Loader>,
    /// All that there ever were: a binding that comes back remembers what it did.
    pub stores: Vec<StateStore>,
    /// What was remembered at the start by those that were not there.
    pub left: Arc<Vec<(Key, Value)>>,
    pub starter: Starter,
}

/// Of another configuration.
pub struct Changes {
    pub loader: Arc<Loader>,
    /// With their bindings.
    pub chains: Vec<(String, Chain)>,
}

/// Takes as long as compiling does.
pub fn prepare(running: &Config, next: &Config, plugins: &Plugins) -> Result<Changes, Refusals> {
    let loader = plugins.loader.followed_by(next, Path::new(&cache(next))).map_err(Refusals)?;
    let changed = |binding: &&Binding| {
        let change = change_of_binding(running, next, binding);
        !binding.plugins.is_empty() && [BindingChange::Added, BindingChange::Chain].contains(&change)
    };
    let (mut chains, mut refusals) = (Vec::new(), Vec::new());
    for binding in next.bindings.iter().filter(changed) {
        match start(binding, &loader, plugins) {
            Ok(chain) => chains.push((binding.name.to_string(), chain)),
            Err(why) => refusals.push(why),
        }
    }
    let all = with(&plugins.stores, &chains);
    let wanted: usize = all.iter().map(StateStore::quota).sum();
    if wanted > state_limit(next) && all.len() > plugins.stores.len() {
        refusals.push(no_room(wanted, state_limit(next)));
    }
    if refusals.is_empty() { Ok(Changes { loader: Arc::new(loader), chains }) } else { Err(Refusals(refusals)) }
}

/// Those that there are already, and those that these chains bring.
pub fn with(known: &[StateStore], chains: &[(String, Chain)]) -> Vec<StateStore> {
    let mut all = known.to_vec();
    for store in chains.iter().flat_map(|(_, chain)| chain.stores()) {
        if !all.iter().any(|known| known.is_same(store)) {
            all.push(store.clone());
        }
    }
    all
}

fn start(binding: &Binding, loader: &Loader, known: &Plugins) -> Result<Chain, String> {
    let found = binding.plugins.iter().map(|id| loader.get(*id)).collect::<Result<Vec<_>, _>>();
    let plugins = found.map_err(|error| format!("binding `{}`: {}", binding.name, because(error)))?;
    if let Some(reason) = misfit(binding, &plugins) {
        return Err(reason);
    }
    let stores = plugins.iter().map(|plugin| store(plugin, binding, known)).collect();
    let means = Means { stores, starter: Some(known.starter.clone()) };
    Chain::load_with(&binding.name, &plugins, &binding.faults, &means).map_err(|error| error.to_string())
}

fn store(plugin: &LoadedPlugin, binding: &Binding, known: &Plugins) -> StateStore {
    let made = plugin.store(&binding.name);
    let before = plugin.store_among(&known.stores, &binding.name);
    if before.is_stateful() && known.stores.iter().any(|store| store.is_same(&before)) {
        return before;
    }
    plugin::restore(std::slice::from_ref(&made), &known.left);
    made
}

fn because(error: NoChain) -> String {
    match error {
        NoChain::NotYet => {
            "one of its plugins is still being compiled: reload again when `tidegate status` says that it has started"
                .to_owned()
        }
        NoChain::Refused(why) => why.to_string(),
    }
}
