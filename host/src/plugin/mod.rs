//! Plugins: WebAssembly components, each in a sandbox with known limits.
//!
//! ```text
//!   file ─▶ component ─▶ instance ◀─▶ capability      log, context, state, metrics, an empty WASI world
//!  trust     compile      a store      ▲
//!  digest    linked       a deadline   └── state      what the host keeps for one instance
//!   kind     inspected    a memory cap
//!   size     ▲               │ abi · columns          a message in and out, one or many at once
//!          engine            ▼
//!          epoch           faults                     what went wrong
//! ```
//!
//! - A component is refused when it is loaded or not at all: [`LoadedPlugin::load`] leaves only the plugin's own reasons to
//!   fail (`refusal` has them all, each with what to do).
//! - A guest has memory, a stack, and the time of one call. It has no files, sockets, environment, clock, or threads.
//! - What it gives back is parsed like a packet from the network.
//! - After a trap or a timeout the instance is thrown away, and with it whatever the guest held. What it remembers beyond that is
//!   in its [`StateStore`], which the chain owns: one for each plugin in each binding.

mod abi;
mod capability;
mod columns;
mod compile;
mod component;
mod contract;
mod deadline;
mod engine;
mod epoch;
mod faults;
mod file;
#[cfg(test)]
pub(crate) mod fixtures;
mod host_state;
mod inspect;
mod instance;
pub mod limits;
mod loaded;
mod memory;
mod metrics;
mod refusal;
mod restore;
mod state_budget;
mod state_store;
mod stats;
#[cfg(test)]
mod tests;
mod text;
mod trust;
mod verdict;

pub use abi::Answer;
pub use compile::{
    Job as CompileJob, JobError as CompileError, Settings as CompileSettings, use_program as compile_with,
};
pub use component::Component;
pub use engine::{Engine, EngineError};
pub use faults::{CallResult, FailureKind, Fault};
pub use inspect::{Import, InspectError, Inspection, inspect};
pub use instance::{Instance, StartError, Traits};
pub use loaded::{Digest, Known, LoadedPlugin, Looked};
pub use memory::MemoryTotal;
pub use metrics::{Metric, PluginMetrics};
pub use refusal::{LoadError, Problem};
pub use restore::{Orphans, restore};
pub use state_store::StateStore;
pub use stats::{BreakerGauge, BreakerState, PluginStats};
pub use trust::{LedgerError, Provenance, Trust};
pub use verdict::{Envelope, Verdict};
