//! `[plugins.NAME]`, `[engine]` and `[trust]`: what code runs, and what it may take.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::public_key::PublicKey;

/// How plugins become native code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Engine {
    pub backend: Backend,
    pub limits: CompileLimits,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// Compiled to the machine's own instructions.
    #[default]
    Cranelift,
    /// Compiled to bytecode that is interpreted: for machines that Cranelift has no instructions for.
    Pulley,
}

/// What a component may ask of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    pub component_size: usize,
    pub functions: usize,
    pub function_size: usize,
    /// Of all instances together, when they run.
    pub memory_total: usize,
    /// Of the process that compiles.
    pub memory: usize,
    /// Wall time and processor time of the process that compiles.
    pub time: Duration,
}

/// Whose plugins may run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    pub keys: Vec<TrustedKey>,
    pub require_signature: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    pub name: String,
    pub key: PublicKey,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    pub name: String,
    pub component: PathBuf,
    /// Hex digest that the component must have.
    pub sha256: Option<String>,
    /// The one older version, or `unsigned`, that may take the place of what ran here before.
    pub downgrade_to: Option<String>,
    pub limits: PluginLimits,
    pub grants: Grants,
    /// The plugin's own table, as JSON: handed to `configure` once.
    pub config_json: String,
    /// The digest of its code, for who compares what runs with a file that has been replaced ([`crate::config::plan`]); none elsewhere.
    pub code: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    pub memory: usize,
    /// CPU time of one call; by the wall it may take ten times as long (`plugin/deadline.rs`).
    pub deadline: Duration,
    /// The same, from the start of an instance to the answer of `configure`.
    pub start_deadline: Duration,
    /// Messages out of one message in.
    pub max_outputs: usize,
    /// Bytes out of one call.
    pub max_output_bytes: usize,
    /// Bytes that it may remember in one binding.
    pub state: usize,
    /// Bytes of it that it may change in a second, in all of its bindings.
    pub state_per_second: usize,
    /// Bytes of one payload or text that comes out.
    pub max_item_bytes: usize,
    /// Function pointers, over all tables of an instance.
    pub max_table_entries: usize,
    /// Lines of log per second, and five times as many at once.
    pub log_per_second: u32,
    /// Bytes of one line of log.
    pub max_log_bytes: usize,
}

/// What one plugin may use beyond what every plugin may. Nothing, unless its table says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Clocks that run. Without it they stand at the arrival of the message.
    pub clock: bool,
    /// Random numbers fit for identifiers. Without it there is a seed for hash maps only.
    pub random: bool,
}
