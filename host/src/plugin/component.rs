//! A component: read, verified, compiled, and known to fit before anything runs.
//!
//! In this order, so that each refusal is the most telling one: the file exists and is small enough; its digest is the
//! pinned one; it is a component; it compiles; it speaks our contract; it imports nothing that is not granted; it exports
//! what a plugin exports; every type agrees. After that, starting an instance can fail for the plugin's own reasons only.

use std::path::Path;

use wasmtime::component::{self, InstancePre};

use super::contract::{batched, lifecycle, single};
use super::engine::Engine;
use super::file::ComponentFile;
use super::inspect::Inspection;
use super::refusal::{LoadError, Problem};
use super::state::HostState;

/// Compiled and linked; instances are made from it in some 25 µs.
pub struct Component {
    pub(super) engine: Engine,
    pub(super) pre: InstancePre<HostState>,
    pub(super) exports: Exports,
    inspection: Inspection,
}

/// Where the functions are, looked up once and not for every instance.
pub(super) struct Exports {
    pub lifecycle: lifecycle::GuestIndices,
    pub single: single::GuestIndices,
    pub batched: Option<batched::GuestIndices>,
}

// === impl Component ===

impl Component {
    pub fn load(engine: &Engine, path: &Path, sha256: Option<&str>) -> Result<Self, LoadError> {
        let file = ComponentFile::read(path)?;
        file.verify(sha256).and_then(|()| Self::link(engine, &file)).map_err(|problem| problem.at(path))
    }

    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    fn link(engine: &Engine, file: &ComponentFile) -> Result<Self, Problem> {
        let component = compile(engine, file)?;
        let inspection = Inspection::of(engine, file, &component);
        if let Some(problem) = inspection.problem() {
            return Err(problem);
        }
        let pre = engine.linker().instantiate_pre(&component).map_err(mismatch)?;
        let exports = Exports::find(&pre, inspection.batched).map_err(mismatch)?;
        Ok(Self { engine: engine.clone(), pre, exports, inspection })
    }
}

impl Exports {
    fn find(pre: &InstancePre<HostState>, is_batched: bool) -> wasmtime::Result<Self> {
        Ok(Self {
            lifecycle: lifecycle::GuestIndices::new(pre)?,
            single: single::GuestIndices::new(pre)?,
            batched: is_batched.then(|| batched::GuestIndices::new(pre)).transpose()?,
        })
    }
}

pub(super) fn compile(engine: &Engine, file: &ComponentFile) -> Result<component::Component, Problem> {
    file.check_kind()?;
    // `from_binary` reads no text and no native code, whatever features other crates switch on.
    component::Component::from_binary(engine.wasmtime(), &file.bytes)
        .map_err(|error| Problem::Malformed(error.root_cause().to_string()))
}

fn mismatch(error: wasmtime::Error) -> Problem {
    Problem::Mismatch(format!("{error:#}"))
}
