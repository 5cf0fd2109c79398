//! What a component says about itself, without running it.

use std::collections::BTreeSet;
use std::path::Path;

use wasmparser::{Parser, Payload};

use super::capability::{self, Access};
use super::contract;
use super::engine::{Engine, EngineError};
use super::file::ComponentFile;
use super::limits::MAX_DETAIL_BYTES;
use super::refusal::{LoadError, Problem};
use super::text::printable;
use crate::config::{self, Grants};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    pub bytes: usize,
    /// Hex, as `sha256` in the configuration.
    pub sha256: String,
    /// The version of the contract that it was built for; `None` if it has nothing to do with the contract.
    pub contract: Option<String>,
    /// It has the fast path for many messages.
    pub batched: bool,
    /// It exports `timer`: it can be called by the clock.
    pub timer: bool,
    /// It exports `manifest`: it says more about itself when it has been started.
    pub manifest: bool,
    /// It keeps state.
    pub stateful: bool,
    pub imports: Vec<Import>,
    pub exports: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub name: String,
    pub access: Access,
}

#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Look at any component, also at one that would be refused for what it imports or exports.
pub fn inspect(path: &Path) -> Result<Inspection, InspectError> {
    let engine = Engine::new(&config::Engine::default(), None)?;
    let look = || {
        let file = engine.read(path)?;
        engine.examine(&file)?;
        engine.compile(&file)?;
        Inspection::of(&file)
    };
    look().map_err(|problem: Problem| problem.at(path).into())
}

// === impl Inspection ===

impl Inspection {
    /// Of one whose kind is known. Only names are read: whether the rest is as it should be the compiler finds, which takes so much longer
    /// that whoever asks for something it is not granted should not have to wait for it.
    pub(super) fn of(file: &ComponentFile) -> Result<Self, Problem> {
        let (imports, exports) = names(&file.bytes).map_err(|error| Problem::Malformed(error.to_string()))?;
        let names = imports.iter().map(|import| import.name.as_str()).chain(exports.iter().map(String::as_str));
        let exported = |wanted| exports.iter().any(|name| interface(name) == Some(wanted));
        Ok(Self {
            bytes: file.bytes.len(),
            sha256: file.sha256.clone(),
            contract: contract_of(names),
            batched: exported("batched"),
            timer: exported("timer"),
            manifest: exported("manifest"),
            stateful: imports.iter().any(|import| interface(&import.name) == Some("state")),
            imports,
            exports,
        })
    }

    /// Whether it may have what it wants, of a contract that this host keeps. One reason: the first one explains the other.
    pub(super) fn check_wants(&self, grants: Grants) -> Result<(), Problem> {
        if let Some(found) = self.contract.as_ref().filter(|found| !contract::speaks(found)) {
            return Err(Problem::OtherContract { found: printable(found, MAX_DETAIL_BYTES) });
        }
        self.denied(grants).map_or(Ok(()), Err)
    }

    /// Whether it has what a plugin has. Of something that compiles: the reason why it does not says more.
    pub(super) fn check_exports(&self) -> Result<(), Problem> {
        let exported = |wanted: &&str| self.exports.iter().any(|name| interface(name) == Some(*wanted));
        let missing: Vec<_> = ["lifecycle", "single"].into_iter().filter(|wanted| !exported(wanted)).collect();
        let full = |name: &str| format!("{}/{name}@{}", contract::PACKAGE, contract::VERSION);
        if missing.is_empty() { Ok(()) } else { Err(Problem::MissingExports(missing.into_iter().map(full).collect())) }
    }

    /// All that it wants and may not have.
    fn denied(&self, grants: Grants) -> Option<Problem> {
        let wants: Vec<_> = self.imports.iter().filter(|import| !import.access.to(grants)).collect();
        let names = |imports: &[&Import]| imports.iter().map(|import| import.name.clone()).collect::<Vec<_>>();
        let nobody: Vec<_> = wants.iter().copied().filter(|import| import.access == Access::Nobody).collect();
        let words = wants.iter().filter_map(|import| match import.access {
            Access::Grant(word) => Some(word),
            _ => None,
        });
        let mut all = capability::words(grants);
        let had = all.len();
        all.extend(words.collect::<BTreeSet<_>>());
        let line = (all.len() > had).then(|| format!("grants = {all:?}"));
        let problem = Problem::NotGranted { wants: names(&wants), line, offered_to_none: names(&nobody) };
        (!wants.is_empty()).then_some(problem)
    }
}

impl Import {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), access: capability::access(name) }
    }
}

/// What the outermost component imports and exports.
fn names(bytes: &[u8]) -> wasmparser::Result<(Vec<Import>, Vec<String>)> {
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(Import::named(import?.name.name));
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

/// `single` of `tidegate:plugin/single@0.1.0`.
fn interface(name: &str) -> Option<&str> {
    let name = name.strip_prefix(contract::PACKAGE)?.strip_prefix('/')?;
    Some(name.split_once('@').map_or(name, |(interface, _)| interface))
}

/// One that this host does not speak, if there is one; else any.
fn contract_of<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let ours = names.filter(|name| interface(name).is_some());
    let versions: Vec<_> = ours.map(|name| name.split_once('@').map_or("without a version", |(_, v)| v)).collect();
    let foreign = versions.iter().find(|version| !contract::speaks(version));
    foreign.or(versions.first()).map(|version| (*version).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_would_be_refused_can_still_be_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wasm");
        let wat = r#"(component (import "wasi:sockets/tcp@0.2.0" (instance)))"#;
        std::fs::write(&path, wat::parse_str(wat).unwrap()).unwrap();
        let inspection = inspect(&path).unwrap();
        let import = Import { name: "wasi:sockets/tcp@0.2.0".into(), access: Access::Nobody };
        assert_eq!((inspection.imports, inspection.contract, inspection.batched), (vec![import], None, false));
        assert_eq!(inspection.bytes as u64, path.metadata().unwrap().len());
    }
}
