//! The engine: one for the process, shared by every plugin.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime::{Cache, CacheConfig, Config, Inlining};

use super::capability;
use super::limits::MAX_STACK_BYTES;
use super::state::HostState;
use super::ticker::Ticker;

/// Cheap to clone. The last clone takes the epoch thread with it.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasmtime: wasmtime::Engine,
    linker: Linker<HostState>,
    ticker: Ticker,
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
    pub fn new(cache: Option<&Path>) -> Result<Self, EngineError> {
        let wasmtime = wasmtime::Engine::new(&config(cache)?).map_err(EngineError::engine)?;
        let linker = capability::linker(&wasmtime).map_err(EngineError::engine)?;
        let epochs = wasmtime.clone();
        let ticker = Ticker::start(move || epochs.increment_epoch()).map_err(EngineError::engine)?;
        Ok(Self(Arc::new(Inner { wasmtime, linker, ticker })))
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.0.wasmtime
    }

    pub(super) fn linker(&self) -> &Linker<HostState> {
        &self.0.linker
    }

    pub(super) fn ticker(&self) -> &Ticker {
        &self.0.ticker
    }
}

impl EngineError {
    fn engine(error: impl std::fmt::Display) -> Self {
        Self::Engine(format!("{error:#}"))
    }
}

fn config(cache: Option<&Path>) -> Result<Config, EngineError> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Tasks of the component model's async side: a call costs three times as much with them, and nothing here waits.
        .concurrency_support(false)
        // Not fuel: it costs the same, and what has to be bounded is the time that a thread is held.
        .epoch_interruption(true)
        .max_wasm_stack(MAX_STACK_BYTES);
    if let Some(folder) = cache {
        config.cache(Some(private_cache(folder)?));
        // 8 to 10 % faster guests for 2.5 times the compile time: worth it when the result is kept.
        config.compiler_inlining(Inlining::Yes);
    }
    Ok(config)
}

/// The cache is native code that this process runs: whoever can write it owns the process.
fn private_cache(folder: &Path) -> Result<Cache, EngineError> {
    let refuse = |reason: String| EngineError::Cache { path: folder.to_owned(), reason };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| refuse(e.to_string()))?;
    // A folder that was there may have been open to others. Only its owner can change that: for anybody else this fails.
    std::fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(|e| refuse(e.to_string()))?;
    // wasmtime wants a path from the root.
    let folder = folder.canonicalize().map_err(|e| refuse(e.to_string()))?;
    let mut config = CacheConfig::new();
    config.with_directory(folder.clone());
    Cache::new(config).map_err(|e| refuse(format!("{e:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_folder_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("compiled");
        std::fs::create_dir(&cache).unwrap();
        std::fs::set_permissions(&cache, Permissions::from_mode(0o777)).unwrap();
        Engine::new(Some(&cache)).unwrap();
        assert_eq!(cache.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_cache_that_cannot_be_made_is_refused_by_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Engine::new(Some(&file.join("cache"))).err().unwrap();
        assert!(error.to_string().contains("file/cache"), "{error}");
    }
}
