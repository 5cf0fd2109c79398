//! A component: read, verified, compiled, and known to fit before anything runs.
//!
//! In this order, so that each refusal is the most telling one: the file exists and is small enough; it is the one that is
//! meant and trusted (`trust`); it is a component, not too large for the compiler (`compile`); it speaks our contract; it imports nothing
//! that it is not granted. All of that is known at once. Then it compiles, which may take a minute; it exports what a plugin exports; every
//! type agrees. After that, starting an instance can fail for the plugin's own reasons only.

use wasmtime::component::{self, InstancePre};

use crate::config::Grants;

use super::capability;
use super::contract::{batched, lifecycle, manifest, single, timer};
use super::engine::Engine;
use super::file::ComponentFile;
use super::host_state::HostState;
use super::inspect::Inspection;
use super::limits::MAX_DETAIL_BYTES;
use super::refusal::Problem;
use super::text::printable;

/// Compiled and linked; instances are made from it in some 25 µs.
pub struct Component {
    pub(super) engine: Engine,
    pub(super) pre: InstancePre<HostState>,
    pub(super) exports: Exports,
    inspection: Inspection,
}

/// A component that nothing speaks against so far.
pub(super) enum Found {
    Linked(Component),
    /// It is not in the cache.
    Uncompiled(Inspection),
}

/// Where the functions are, looked up once and not for every instance.
pub(super) struct Exports {
    pub lifecycle: lifecycle::GuestIndices,
    pub single: single::GuestIndices,
    pub batched: Option<batched::GuestIndices>,
    pub timer: Option<timer::GuestIndices>,
    pub manifest: Option<manifest::GuestIndices>,
}

// === impl Component ===

impl Component {
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Compiles nothing.
    pub(super) fn find(engine: &Engine, file: &ComponentFile, grants: Grants) -> Result<Found, Problem> {
        engine.examine(file)?;
        let inspection = Inspection::of(file)?;
        inspection.check_wants(grants)?;
        match engine.cached(file) {
            Some(component) => Self::link(engine, &component, inspection, grants).map(Found::Linked),
            None => Ok(Found::Uncompiled(inspection)),
        }
    }

    /// The same, compiled where that is needed.
    pub(super) fn make(engine: &Engine, file: &ComponentFile, grants: Grants) -> Result<Self, Problem> {
        match Self::find(engine, file, grants)? {
            Found::Linked(component) => Ok(component),
            Found::Uncompiled(inspection) => Self::link(engine, &engine.compile(file)?, inspection, grants),
        }
    }

    fn link(
        engine: &Engine,
        component: &component::Component,
        inspection: Inspection,
        grants: Grants,
    ) -> Result<Self, Problem> {
        inspection.check_exports()?;
        let mut linker = engine.linker().clone();
        capability::grant(&mut linker, grants).map_err(mismatch)?;
        let pre = linker.instantiate_pre(component).map_err(mismatch)?;
        let exports = Exports::find(&pre, &inspection).map_err(mismatch)?;
        Ok(Self { engine: engine.clone(), pre, exports, inspection })
    }
}

impl Exports {
    fn find(pre: &InstancePre<HostState>, inspection: &Inspection) -> wasmtime::Result<Self> {
        Ok(Self {
            lifecycle: lifecycle::GuestIndices::new(pre)?,
            single: single::GuestIndices::new(pre)?,
            // Each change of state belongs to one message, which a batch could not tell.
            batched: (inspection.batched && !inspection.stateful)
                .then(|| batched::GuestIndices::new(pre))
                .transpose()?,
            timer: inspection.timer.then(|| timer::GuestIndices::new(pre)).transpose()?,
            manifest: inspection.manifest.then(|| manifest::GuestIndices::new(pre)).transpose()?,
        })
    }
}

fn mismatch(error: wasmtime::Error) -> Problem {
    Problem::Mismatch(printable(&format!("{error:#}"), MAX_DETAIL_BYTES))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plugin::capability::Access;
    use crate::plugin::fixtures::{engine, vices};
    use crate::plugin::refusal::LoadError;

    fn load(path: &Path, sha256: Option<&str>) -> Result<Component, LoadError> {
        load_with(path, sha256, Grants::default())
    }

    fn load_with(path: &Path, sha256: Option<&str>, grants: Grants) -> Result<Component, LoadError> {
        let engine = engine();
        let file = engine.read(path).map_err(|problem| problem.at(path))?;
        file.verify(sha256).and_then(|()| Component::make(&engine, &file, grants)).map_err(|problem| problem.at(path))
    }

    fn refused(bytes: &[u8], sha256: Option<&str>) -> Problem {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wasm");
        std::fs::write(&path, bytes).unwrap();
        let error = load(&path, sha256).err().expect("it was loaded");
        assert!(error.to_string().starts_with(&format!("`{}` ", path.display())), "{error}");
        error.problem
    }

    fn refused_text(wat: &str) -> Problem {
        refused(&wat::parse_str(wat).unwrap(), None)
    }

    #[test]
    fn a_real_plugin_is_loaded_and_described() {
        let component = load(&vices(), None).unwrap();
        let inspection = component.inspection();
        assert_eq!(inspection.contract.as_deref(), Some("0.1.0"));
        assert!(inspection.batched);
        // What a plugin does not use it does not import, so that the others pay nothing.
        assert!(!inspection.stateful && !inspection.timer);
        let counting = crate::plugin::fixtures::counting("{}");
        assert!(counting.component().inspection().stateful && counting.component().inspection().timer);
        assert!(
            inspection
                .imports
                .iter()
                .any(|import| import.name == "tidegate:plugin/context@0.1.0" && import.access == Access::Given)
        );
        load(&vices(), Some(&inspection.sha256.to_uppercase())).unwrap();
    }

    #[test]
    fn a_file_that_is_not_there_or_not_the_pinned_one_is_refused() {
        let missing = load(Path::new("/nowhere/x.wasm"), None).err().unwrap();
        assert_eq!(missing.problem, Problem::Missing);
        let Problem::WrongDigest { pinned, found } = refused(b"x", Some("00")) else { panic!() };
        assert_eq!((pinned.as_str(), &found[..8]), ("00", "2d711642"));
    }

    #[test]
    fn what_is_no_component_is_called_what_it_is() {
        assert_eq!(refused(b"", None), Problem::NotWasm);
        assert_eq!(refused(b"\x7fELF", None), Problem::NotWasm);
        assert_eq!(refused(b"\n(component)", None), Problem::Text);
        assert_eq!(refused_text("(module)"), Problem::CoreModule);
        let mut damaged = wat::parse_str("(component)").unwrap();
        damaged.push(0xff);
        assert!(matches!(refused(&damaged, None), Problem::Malformed(_)));
    }

    #[test]
    fn native_code_under_another_name_is_never_run() {
        let native = engine().wasmtime().precompile_component(&wat::parse_str("(component)").unwrap()).unwrap();
        assert_eq!(refused(&native, None), Problem::Precompiled);
    }

    #[test]
    fn every_import_that_is_not_granted_is_named_at_once() {
        let problem = refused_text(
            r#"(component
                (import "wasi:sockets/tcp@0.2.0" (instance))
                (import "wasi:cli/stderr@0.2.0" (instance))
                (import "acme:disk/all" (instance)))"#,
        );
        let words = problem.to_string();
        assert!(words.contains("`wasi:sockets/tcp@0.2.0`, `acme:disk/all`"), "{words}");
        assert!(!words.contains("stderr") && !words.contains("grants"), "{words}");
    }

    #[test]
    fn what_is_not_granted_is_known_before_anything_is_compiled() {
        let wat = r#"(component
            (import "wasi:random/random@0.2.6" (instance (export "get-random-u64" (func (result u64))))))"#;
        let engine = Engine::new(&crate::config::Engine::default(), None).unwrap();
        let file = ComponentFile::from_bytes(wat::parse_str(wat).unwrap());
        let denied = Component::make(&engine, &file, Grants::default()).err().unwrap();
        assert!(matches!(denied, Problem::NotGranted { .. }), "{denied}");
        assert_eq!(engine.compiled(), 0);
        assert!(Component::make(&engine, &file, Grants { random: true, ..Grants::default() }).is_err());
        assert_eq!(engine.compiled(), 1);
    }

    #[test]
    fn names_are_those_of_the_outermost_component() {
        let wat = r#"(component
            (import "acme:disk/all" (instance))
            (component (import "acme:net/all" (instance)) (export "acme:net/out" (instance 0))))"#;
        let inspection = Inspection::of(&ComponentFile::from_bytes(wat::parse_str(wat).unwrap())).unwrap();
        let names: Vec<_> = inspection.imports.iter().map(|import| import.name.as_str()).collect();
        assert_eq!((names, inspection.exports.len()), (vec!["acme:disk/all"], 0));
    }

    #[test]
    fn what_could_be_granted_is_refused_with_the_line_that_grants_it() {
        let wat = r#"(component
            (import "wasi:random/random@0.2.6" (instance (export "get-random-u64" (func (result u64)))))
            (import "wasi:sockets/tcp@0.2.0" (instance)))"#;
        let words = refused_text(wat).to_string();
        for expected in
            ["`wasi:random/random@0.2.6`, `wasi:sockets/tcp@0.2.0`", "grants = [\"random\"]", "to no plugin"]
        {
            assert!(words.contains(expected), "{words}");
        }
        let granted = Grants { random: true, ..Grants::default() };
        let component = wat::parse_str(wat.replace("wasi:sockets/tcp@0.2.0", "wasi:cli/stderr@0.2.0")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.wasm");
        std::fs::write(&path, component).unwrap();
        let lacks = load_with(&path, None, granted).err().unwrap().problem;
        assert!(matches!(lacks, Problem::MissingExports(_)), "granted, it is only no plugin: {lacks}");
    }

    #[test]
    fn another_version_of_the_contract_is_refused_with_both_named() {
        let problem = refused_text(
            r#"(component
                (import "tidegate:plugin/log@0.1.0" (instance))
                (instance $i)
                (export "tidegate:plugin/single@0.2.0" (instance $i)))"#,
        );
        assert_eq!(problem, Problem::OtherContract { found: "0.2.0".into() });
        assert!(problem.to_string().contains("0.2.0, this tidegate has 0.1.0"), "{problem}");
    }

    #[test]
    fn a_component_that_is_no_plugin_is_told_what_it_lacks() {
        let missing = |names: &[&str]| {
            Problem::MissingExports(names.iter().map(|name| format!("tidegate:plugin/{name}@0.1.0")).collect())
        };
        assert_eq!(refused_text("(component)"), missing(&["lifecycle", "single"]));
        let half = r#"(component (instance $i) (export "tidegate:plugin/lifecycle@0.1.0" (instance $i)))"#;
        assert_eq!(refused_text(half), missing(&["single"]));
    }

    #[test]
    fn exports_with_the_right_names_and_the_wrong_shape_are_refused() {
        let hollow = r#"(component (instance $i)
            (export "tidegate:plugin/lifecycle@0.1.0" (instance $i))
            (export "tidegate:plugin/single@0.1.0" (instance $i)))"#;
        assert!(matches!(refused_text(hollow), Problem::Mismatch(_)));
    }

    #[test]
    fn a_granted_interface_with_a_function_it_does_not_have_is_refused() {
        let curious = r#"(component
            (import "tidegate:plugin/context@0.1.0" (instance (export "passwords" (func (result string)))))
            (instance $i)
            (export "tidegate:plugin/lifecycle@0.1.0" (instance $i))
            (export "tidegate:plugin/single@0.1.0" (instance $i)))"#;
        let problem = refused_text(curious);
        assert!(matches!(&problem, Problem::Mismatch(words) if words.contains("passwords")), "{problem}");
    }
}
