//! The engine: one for the process, shared by every plugin.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::component::{self, Linker};

use crate::config;

use super::capability;
use super::compile::{Compiler, Settings};
use super::epoch::EpochTicker;
use super::file::ComponentFile;
use super::host_state::HostState;
use super::memory::MemoryTotal;
use super::refusal::Problem;

/// Cheap to clone. The last clone takes the epoch thread with it.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasmtime: wasmtime::Engine,
    linker: Linker<HostState>,
    ticker: EpochTicker,
    compiler: Compiler,
    memory: MemoryTotal,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("cannot use `{}` for compiled plugins: {reason}. It must be a folder that only this user can write", path.display())]
    Cache { path: PathBuf, reason: String },
    #[error("the WebAssembly engine does not start on this machine: {0}")]
    Engine(String),
}

// === impl Engine ===

impl Engine {
    /// With `cache`, compiled code is kept in that folder: the second start loads in a fraction of a millisecond.
    pub fn new(config: &config::Engine, cache: Option<&Path>) -> Result<Self, EngineError> {
        let settings = Settings { backend: config.backend, inlining: cache.is_some() };
        let refused = |reason| EngineError::Cache { path: cache.unwrap_or(Path::new("")).to_owned(), reason };
        let compiler = Compiler::new(settings, config.limits.clone(), cache).map_err(refused)?;
        let wasmtime = settings.engine().map_err(EngineError::engine)?;
        let linker = capability::linker(&wasmtime).map_err(EngineError::engine)?;
        let epochs = wasmtime.clone();
        let ticker = EpochTicker::start(move || epochs.increment_epoch()).map_err(EngineError::engine)?;
        let memory = MemoryTotal::new(config.limits.memory_total);
        Ok(Self(Arc::new(Inner { wasmtime, linker, ticker, compiler, memory })))
    }

    /// Components that were compiled because they were not in the cache.
    pub fn compiled(&self) -> u64 {
        self.0.compiler.compiled()
    }

    /// Read as far as this engine would compile it.
    /// Of the file that is there now; none when it cannot be read.
    pub fn digest(&self, component: &Path) -> Option<String> {
        self.read(component).ok().map(|file| file.sha256)
    }

    pub(super) fn read(&self, component: &Path) -> Result<ComponentFile, Problem> {
        ComponentFile::read(component, self.0.compiler.limits().component_size)
    }

    pub(super) fn examine(&self, file: &ComponentFile) -> Result<(), Problem> {
        self.0.compiler.examine(file)
    }

    /// Where it was compiled before.
    pub(super) fn cached(&self, file: &ComponentFile) -> Option<component::Component> {
        self.0.compiler.cached(&self.0.wasmtime, file)
    }

    pub(super) fn compile(&self, file: &ComponentFile) -> Result<component::Component, Problem> {
        self.0.compiler.compile(&self.0.wasmtime, file)
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    pub(super) fn linker(&self) -> &Linker<HostState> {
        &self.0.linker
    }

    /// Of all instances.
    pub fn memory(&self) -> &MemoryTotal {
        &self.0.memory
    }

    pub(super) fn ticker(&self) -> &EpochTicker {
        &self.0.ticker
    }
}

impl EngineError {
    fn engine(error: impl std::fmt::Display) -> Self {
        Self::Engine(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_cannot_be_made_is_refused_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Engine::new(&config::Engine::default(), Some(&file.join("cache"))).err().unwrap();
        assert!(error.to_string().contains("file/cache"), "{error}");
    }
}
