//! What a plugin may ask of its host: one import per file, and nothing that is not in this list.
//!
//! Deny by default: [`linker`] defines the functions, [`granted`] names the interfaces, and a component that imports
//! anything else is refused when it is loaded, by name. There is no way to grant more at run time.

mod context;
mod log;
mod metrics;
mod state;
mod wasi;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

pub use context::Origins;
pub use log::PluginLog;
pub use wasi::{EmptyWorld, Waited};

use super::contract;
use super::state::HostState;

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

/// Whether an import of this name is among what [`linker`] defines. Its version is another question.
pub fn granted(import: &str) -> bool {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    OWN.contains(&name) || wasi::granted(name, version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_and_everything_unknown_are_not_granted() {
        assert!(granted("tidegate:plugin/log@0.1.0") && granted("wasi:cli/stderr@0.2.6"));
        let denied = ["wasi:sockets/tcp@0.2.0", "wasi:http/types@0.2.0", "wasi:cli/stderr@0.3.0", "acme:fs/all", ""];
        assert!(!denied.into_iter().any(granted));
    }
}
