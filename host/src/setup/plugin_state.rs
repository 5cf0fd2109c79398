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
    let of_binding = |binding: &Binding| -> Vec<String> {
        let plugins: Vec<_> = binding.plugins.iter().filter_map(|plugin| plugin.of(plugins)).collect();
        no_timer(binding, &plugins).into_iter().chain(twice(binding, &plugins)).collect()
    };
    config.bindings.iter().flat_map(of_binding).chain(too_much(config, chains)).collect()
}

fn no_timer(binding: &Binding, plugins: &[&LoadedPlugin]) -> Option<String> {
    let has_timer = |plugin: &&LoadedPlugin| plugin.component().inspection().timer;
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
fn twice(binding: &Binding, plugins: &[&LoadedPlugin]) -> Option<String> {
    let stateful: Vec<_> = plugins.iter().filter(|plugin| plugin.component().inspection().stateful).collect();
    let again = |(index, plugin): (usize, &&&LoadedPlugin)| {
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
    let size = |bytes: usize| ByteSize::b(bytes as u64).display().iec();
    (wanted > limit).then(|| {
        format!(
            "plugins may remember {} together, and this spool carries {}: lower `limits.state` of plugins that keep state, or \
             raise `max_bytes` of `[spool]`",
            size(wanted),
            size(limit)
        )
    })
}
