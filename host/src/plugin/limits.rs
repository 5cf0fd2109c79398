//! What a plugin can never have more of, and why that much.
//!
//! The limits that a site may want to change are configuration (`config::PluginLimits`). These here are not: they
//! are far above what an honest plugin needs, and exist so that a hostile one is bounded.

/// Stack of a guest. wasmtime's default, a quarter of the 2 MiB that a worker thread has. One for all: wasmtime has it in the
/// engine, and an engine for each plugin would be an epoch thread for each.
pub const MAX_STACK_BYTES: usize = 512 << 10;

/// Linear memories, tables and core instances of one component: tools make one to four of each.
pub const MAX_MEMORIES: usize = 8;
pub const MAX_TABLES: usize = 16;
pub const MAX_INSTANCES: usize = 32;

/// Modules and components in a component, and how deep one in the other. Tools make four in one level; composing several
/// components adds a level for each step.
pub const MAX_MODULES: usize = 64;
pub const MAX_NESTING: usize = 8;

/// Types, imports, exports, globals and the like of all modules together. An embedded Python interpreter has some 20,000.
pub const MAX_DEFINITIONS: usize = 100_000;

/// Handles that a guest holds in the host (the streams of its empty WASI world). wasmtime's default is a million, each an
/// allocation outside the guest's memory limit.
pub const MAX_HANDLES: usize = 64;

/// Random bytes in one call: a hash map's seed has 16. wasmtime's default is 64 MiB, made while no epoch can end the call.
pub const MAX_RANDOM_BYTES: u64 = 4 << 10;

/// What the host pays for each message of an answer beside the bytes in it, when it counts what crosses.
pub const ANSWER_OVERHEAD: usize = 256;

/// A plugin's words about one message, in logs and dead letters.
pub const MAX_DETAIL_BYTES: usize = 512;

/// The end of what a guest wrote to stderr: enough for a panic message.
pub const MAX_LAST_WORDS: usize = 4 << 10;

/// Lines that a plugin may log at once: what it may log in so many seconds.
pub const LOG_BURST_SECONDS: u32 = 5;

/// A key of a plugin's state: room for most topics.
pub const MAX_STATE_KEY_BYTES: usize = 1 << 10;

/// What an entry of the state costs beside its key and value, in memory and in the log. It bounds the number of keys.
pub const STATE_ENTRY_OVERHEAD: usize = 64;

/// Names of metrics of one plugin, and the bytes of each.
pub const MAX_METRICS: usize = 64;
pub const MAX_METRIC_NAME_BYTES: usize = 64;
