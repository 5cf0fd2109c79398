use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;
use crate::config::Backend;

/// A gateway's start: an engine and a compiler with a cache in `folder`.
fn start(folder: &Path, backend: Backend) -> (wasmtime::Engine, Compiler) {
    let settings = Settings { backend, inlining: false };
    let compiler = Compiler::new(settings, CompileLimits::default(), Some(&folder.join("compiled"))).unwrap();
    (settings.engine().unwrap(), compiler)
}

fn component(
    compiler: &Compiler,
    engine: &wasmtime::Engine,
    file: &ComponentFile,
) -> Result<component::Component, Problem> {
    compiler.examine(file)?;
    compiler.cached(engine, file).map_or_else(|| compiler.compile(engine, file), Ok)
}

fn file(wat: &str) -> ComponentFile {
    ComponentFile::from_bytes(wat::parse_str(wat).unwrap())
}

/// Loads it as a new process would, and tells how many components were compiled for that.
fn load(folder: &Path, file: &ComponentFile) -> u64 {
    let (engine, compiler) = start(folder, Backend::Cranelift);
    component(&compiler, &engine, file).unwrap();
    compiler.compiled()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("compiled")).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "native")).collect()
}

const SMALL: &str = "(component (core module (func (export \"f\") (result i32) i32.const 7)))";

#[test]
fn the_second_start_compiles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!((load(folder.path(), &file(SMALL)), load(folder.path(), &file(SMALL))), (1, 0));
}

#[test]
fn code_is_kept_for_each_component_and_each_backend() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!((load(folder.path(), &file(SMALL)), load(folder.path(), &file("(component)"))), (1, 1));
    let (engine, compiler) = start(folder.path(), Backend::Pulley);
    component(&compiler, &engine, &file(SMALL)).unwrap();
    assert_eq!((compiler.compiled(), entries(folder.path()).len()), (1, 3));
}

#[test]
fn an_entry_that_is_not_as_it_was_put_there_is_made_anew_and_never_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(SMALL);
    load(folder.path(), &file);
    let entry = entries(folder.path()).remove(0);
    let whole = fs::read(&entry).unwrap();
    let mut cases: Vec<(String, Vec<u8>)> = [0, 7, 8, 39, 40, whole.len() / 2, whole.len() - 1]
        .into_iter()
        .map(|at| {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            (format!("bit {at}"), changed)
        })
        .collect();
    cases.extend([0, 8, 20, 40, whole.len() - 1].map(|length| (format!("cut at {length}"), whole[..length].to_vec())));
    cases.push(("longer".into(), [whole.as_slice(), b"x"].concat()));
    for (case, bytes) in cases {
        fs::write(&entry, bytes).unwrap();
        assert_eq!(load(folder.path(), &file), 1, "{case}");
        assert_eq!(load(folder.path(), &file), 0, "{case}: it is whole again");
    }
}

#[test]
fn good_code_of_another_component_or_another_gateway_does_not_count() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    load(one.path(), &file(SMALL));
    load(two.path(), &file(SMALL));
    let entry = entries(two.path()).remove(0);
    fs::copy(entries(one.path()).remove(0), &entry).unwrap();
    assert_eq!(load(two.path(), &file(SMALL)), 1, "from another gateway");
    load(two.path(), &file("(component)"));
    let other = entries(two.path()).into_iter().find(|path| *path != entry).unwrap();
    fs::copy(&entry, other).unwrap();
    assert_eq!(load(two.path(), &file("(component)")), 1, "from another component");
}

#[test]
fn a_key_that_others_could_read_is_replaced_with_all_that_it_sealed() {
    let folder = tempfile::tempdir().unwrap();
    load(folder.path(), &file(SMALL));
    let key = folder.path().join("compiled/key");
    for spoil in
        [|key: &Path| fs::set_permissions(key, fs::Permissions::from_mode(0o640)), |key: &Path| fs::write(key, "short")]
    {
        spoil(&key).unwrap();
        assert_eq!((load(folder.path(), &file(SMALL)), load(folder.path(), &file(SMALL))), (1, 0));
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_folder_that_others_can_write_is_refused_and_one_that_they_can_read_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let open = |mode| {
        let cache = folder.path().join(format!("{mode:o}"));
        fs::create_dir(&cache).unwrap();
        fs::set_permissions(&cache, fs::Permissions::from_mode(mode)).unwrap();
        Cache::open(&cache).map(|_| cache.metadata().unwrap().permissions().mode() & 0o777)
    };
    assert_eq!(open(0o755), Ok(0o700));
    for mode in [0o777, 0o770, 0o702] {
        assert!(open(mode).is_err_and(|reason| reason.contains("others can write")), "{mode:o}");
    }
}

#[test]
fn old_entries_go_when_there_are_many() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("compiled")).unwrap();
    for number in 0..100 {
        cache.keep(&format!("{number:064x}"), b"code").unwrap();
    }
    assert_eq!(entries(folder.path()).len(), 64);
    assert_eq!(cache.find(&format!("{:064x}", 99)).as_deref(), Some(b"code".as_slice()));
}

#[test]
fn what_is_too_much_is_refused_before_it_is_compiled() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, compiler) = start(folder.path(), Backend::Cranelift);
    let crowd = format!("(component (core module {}))", "(func)".repeat(100_000));
    assert!(matches!(component(&compiler, &engine, &file(&crowd)), Err(Problem::TooMuch { .. })));
    assert_eq!(compiler.compiled(), 0);
}

#[test]
fn a_machine_that_does_not_let_compiled_code_run_is_named_with_the_setting_of_systemd() {
    let denied = wasmtime::Error::new(std::io::Error::from(ErrorKind::PermissionDenied));
    assert_eq!(not_loaded(&denied.context("failed to publish code")), Problem::ExecutionDenied);
    assert!(Problem::ExecutionDenied.to_string().contains("MemoryDenyWriteExecute"));
    let other = wasmtime::Error::new(std::io::Error::from(ErrorKind::OutOfMemory));
    assert!(matches!(not_loaded(&other), Problem::NotCompiled(_)));
}
