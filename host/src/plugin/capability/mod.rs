//! What a plugin may ask of its host: one import per file, and nothing that is not in this list.
//!
//! Deny by default: [`linker`] defines what every plugin finds, [`grant`] what the configuration grants this one by name, and
//! a component that imports anything else is refused when it is loaded ([`access`]). Nothing can be granted at run time.

mod context;
mod log;
mod metrics;
mod state;
mod wasi;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::config::Grants;

pub use context::Origins;
pub use log::PluginLog;
pub use wasi::{EmptyWorld, Waited};

use super::contract;
use super::host_state::HostState;

/// Interfaces of our own contract, by name. `types` has no functions and is imported for its types.
const OWN: [&str; 5] = [
    "tidegate:plugin/types",
    "tidegate:plugin/log",
    "tidegate:plugin/context",
    "tidegate:plugin/state",
    "tidegate:plugin/metrics",
];

pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<HostState>> {
    let mut linker = Linker::new(engine);
    contract::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| &mut state.log)?;
    contract::context::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| &mut state.origins)?;
    contract::state::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| &mut state.store)?;
    contract::metrics::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| &mut state.metrics)?;
    wasi::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Who may import something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every plugin.
    Given,
    /// One whose `grants` has this word.
    Grant(&'static str),
    /// None: this host has no such thing.
    Nobody,
}

/// Adds what one plugin may have beyond the others. (The grant `clock` is no import: it makes the clocks run.)
pub fn grant(linker: &mut Linker<HostState>, grants: Grants) -> wasmtime::Result<()> {
    if grants.random { wasi::grant_random(linker) } else { Ok(()) }
}

/// Who may import something of this name. The version of our own contract is another question.
pub fn access(import: &str) -> Access {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    if OWN.contains(&name) || wasi::given(name, version) {
        Access::Given
    } else if wasi::is_random(name, version) {
        Access::Grant("random")
    } else {
        Access::Nobody
    }
}

// === impl Access ===

impl Access {
    pub fn to(self, grants: Grants) -> bool {
        match self {
            Self::Given => true,
            Self::Grant(word) => words(grants).contains(&word),
            Self::Nobody => false,
        }
    }
}

/// As they stand in the configuration.
pub fn words(grants: Grants) -> Vec<&'static str> {
    let Grants { clock, random } = grants;
    [("clock", clock), ("random", random)].into_iter().filter_map(|(word, granted)| granted.then_some(word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_every_plugin_finds_is_little_and_no_grant_opens_the_network() {
        let all = Grants { clock: true, random: true };
        for given in ["tidegate:plugin/log@0.1.0", "wasi:cli/stderr@0.2.6"] {
            assert_eq!(access(given), Access::Given, "{given}");
        }
        for denied in ["wasi:sockets/tcp@0.2.0", "wasi:http/types@0.2.0", "wasi:cli/stderr@0.3.0", "acme:fs/all", ""] {
            assert!(!access(denied).to(all), "{denied}");
        }
        let random = access("wasi:random/random@0.2.0");
        assert!(random.to(all) && !random.to(Grants { random: false, ..all }));
    }
}
