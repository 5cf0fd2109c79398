//! Whether timers and memory are where the configuration wants them.

use bytesize::ByteSize;

use crate::chain::Chain;
use crate::config::{Binding, Config, MAX_STATE_TOTAL};
use crate::plugin::{LoadedPlugin, StateStore};

/// Half of a segment of a small spool, which is a quarter of it: what one message changes in the state of plugins is in one record with the
/// rest that it causes, and a record has to fit into a segment. What is more could be remembered and never be written.
const SHARE_OF_SPOOL: u64 = 8;

/// The state of all plugins together.
pub fn state_limit(config: &Config) -> usize {
    usize::try_from(config.spool.max_bytes / SHARE_OF_SPOOL).unwrap_or(MAX_STATE_TOTAL).min(MAX_STATE_TOTAL)
}

pub fn refusals(config: &Config, plugins: &[LoadedPlugin], chains: &[Chain]) -> Vec<String> {
    let of_binding = |binding: &Binding| {
        let plugins: Vec<_> = binding.plugins.iter().filter_map(|plugin| plugin.of(plugins)).cloned().collect();
        misfit(binding, &plugins)
    };
    config.bindings.iter().filter_map(of_binding).chain(too_much(config, chains)).collect()
}

/// Why these plugins, all of them loaded, are none for this binding.
pub fn misfit(binding: &Binding, plugins: &[LoadedPlugin]) -> Option<String> {
    no_timer(binding, plugins).or_else(|| twice(binding, plugins))
}

/// What all instances may need together, where that is more than they may have.
pub fn memory_doubt(config: &Config) -> Option<String> {
    let of_binding = |binding: &Binding| -> usize {
        binding.plugins.iter().filter_map(|id| id.of(&config.plugins)).map(|plugin| plugin.limits.memory).sum()
    };
    let (wanted, total) = (config.bindings.iter().map(of_binding).sum::<usize>(), config.engine.limits.memory_total);
    let size = |bytes: usize| ByteSize::b(bytes as u64).display().iec();
    (wanted > total).then(|| {
        format!(
            "their instances may need {} together, and have {}: one that finds no more memory fails on its message; raise \
             `memory_total` of `[engine.limits]`, or lower `limits.memory` of plugins",
            size(wanted),
            size(total)
        )
    })
}

fn no_timer(binding: &Binding, plugins: &[LoadedPlugin]) -> Option<String> {
    let has_timer = |plugin: &LoadedPlugin| plugin.component().inspection().timer;
    if binding.tick.is_none() || plugins.iter().any(has_timer) {
        return None;
    }
    let names: Vec<_> = plugins.iter().map(|plugin| plugin.name()).collect();
    Some(format!(
        "binding `{}` has a `tick`, and none of its plugins (`{}`) exports `timer`: remove `tick`, or export the plugin with \
         `export!(Plugin, tick)`",
        binding.name,
        names.join("`, `")
    ))
}

/// Both would work on the same memory.
fn twice(binding: &Binding, plugins: &[LoadedPlugin]) -> Option<String> {
    let stateful: Vec<_> = plugins.iter().filter(|plugin| plugin.component().inspection().stateful).collect();
    let again = |(index, plugin): (usize, &&LoadedPlugin)| {
        stateful.iter().take(index).any(|before| before.name() == plugin.name()).then(|| plugin.name().to_owned())
    };
    let name = stateful.iter().enumerate().find_map(again)?;
    Some(format!(
        "binding `{}` has plugin `{name}` twice, which keeps state: give the second its own table `[plugins.NAME]` with the \
         same component",
        binding.name
    ))
}

fn too_much(config: &Config, chains: &[Chain]) -> Option<String> {
    let (wanted, limit) =
        (chains.iter().flat_map(Chain::stores).map(StateStore::quota).sum::<usize>(), state_limit(config));
    (wanted > limit).then(|| no_room(wanted, limit))
}

pub fn no_room(wanted: usize, limit: usize) -> String {
    let size = |bytes: usize| ByteSize::b(bytes as u64).display().iec();
    format!(
        "plugins may remember {} together, and this spool carries {}: lower `limits.state` of plugins that keep state, or \
         raise `max_bytes` of `[spool]`",
        size(wanted),
        size(limit)
    )
}
