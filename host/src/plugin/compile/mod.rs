//! From the bytes of a component to code that can run.
//!
//! ```text
//!   bytes ─▶ kind? ─▶ census ─▶ cache ──── found ────────────────▶ native ─▶ component
//!                    too much    │                                   ▲
//!                    to ask?     └─ not there, or unfit ─▶ process ──┘   and into the cache
//!                                                        memory, time
//! ```
//!
//! Three steps for who calls: [`Compiler::examine`], [`Compiler::cached`], and [`Compiler::compile`], which is the one that may take a minute.
//!
//! The compiler is the largest program that a stranger's bytes meet here, and its time and memory depend on them in ways that
//! nobody can foretell. So what can be counted is counted first (`census`), and the rest happens in a process of its own
//! (`process`, `child`) that may use so much memory and time and no more: whatever goes wrong there is a sentence here. It is
//! a wall around resources, not around secrets: what the compiler gives back is run.
//!
//! Everything comes out of it through one door, `native`: also code that was compiled a moment ago, so that a start with a
//! warm cache and one with a cold cache do the same thing.

mod cache;
mod census;
mod child;
mod expansion;
mod native;
mod process;
mod seal;
mod settings;

use std::io::ErrorKind;

use sha2::{Digest, Sha256};
use wasmtime::component;

use crate::config::CompileLimits;
use crate::metrics::Counter;

use super::file::ComponentFile;
use super::refusal::Problem;
use cache::Cache;
use census::Census;

pub use child::{Job, JobError};
pub use process::use_program;
pub use settings::Settings;

pub struct Compiler {
    settings: Settings,
    limits: CompileLimits,
    cache: Option<Cache>,
    /// Components that were not in the cache.
    compiled: Counter,
}

// === impl Compiler ===

impl Compiler {
    /// With `cache`, compiled code is kept in that folder.
    pub fn new(settings: Settings, limits: CompileLimits, cache: Option<&std::path::Path>) -> Result<Self, String> {
        let cache = cache.map(Cache::open).transpose()?;
        Ok(Self { settings, limits, cache, compiled: Counter::default() })
    }

    pub fn limits(&self) -> &CompileLimits {
        &self.limits
    }

    pub fn compiled(&self) -> u64 {
        self.compiled.get()
    }

    /// Whether it is something that the compiler may be asked to compile. To be known before anything else is asked of it.
    pub fn examine(&self, file: &ComponentFile) -> Result<(), Problem> {
        file.check_kind()?;
        Census::of(&file.bytes, &self.limits).map(drop)
    }

    /// What was compiled before.
    pub fn cached(&self, engine: &wasmtime::Engine, file: &ComponentFile) -> Option<component::Component> {
        let cache = self.cache.as_ref()?;
        let name = entry_name(engine, file);
        let code = cache.find(&name)?;
        // Sealed by us and still not to the engine's liking: as good as not there.
        let component = native::load(engine, &code);
        component.inspect_err(|_| cache.discard(&name)).ok()
    }

    pub fn compile(&self, engine: &wasmtime::Engine, file: &ComponentFile) -> Result<component::Component, Problem> {
        let code = self.code(&file.bytes)?;
        self.compiled.increment();
        let name = entry_name(engine, file);
        if let Some(Err(error)) = self.cache.as_ref().map(|cache| cache.keep(&name, &code)) {
            tracing::warn!(%error, "compiled code cannot be kept: the next start compiles again");
        }
        native::load(engine, &code).map_err(|error| not_loaded(&error))
    }

    /// The tests of this crate are not the program that has the command `compile`.
    fn code(&self, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
        match cfg!(test) {
            true => self.settings.compile(bytes).map_err(|error| Problem::Malformed(error.root_cause().to_string())),
            false => process::compile(self.settings, &self.limits, bytes),
        }
    }
}

/// A kernel, or a supervisor that asked it to (`MemoryDenyWriteExecute=`, systemd.exec(5)), may refuse to make written memory executable.
fn not_loaded(error: &wasmtime::Error) -> Problem {
    let is_denied = |cause: &(dyn std::error::Error + 'static)| {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        let errno = cause.downcast_ref::<rustix::io::Errno>();
        kind == Some(ErrorKind::PermissionDenied)
            || errno.is_some_and(|errno| [rustix::io::Errno::PERM, rustix::io::Errno::ACCESS].contains(errno))
    };
    match error.chain().any(is_denied) {
        true => Problem::ExecutionDenied,
        false => Problem::NotCompiled(format!("{error:#}")),
    }
}

/// The component and everything about the engine that its code depends on: version, target, settings.
fn entry_name(engine: &wasmtime::Engine, file: &ComponentFile) -> String {
    struct Adapter(Sha256);
    impl std::hash::Hasher for Adapter {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut adapter = Adapter(Sha256::new());
    std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut adapter);
    let engine = adapter.0.finalize();
    let name = Sha256::new().chain_update(engine).chain_update(&file.sha256).finalize();
    name.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
