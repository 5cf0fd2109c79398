//! The real binary and the real plugins, built once for all tests of a run.
//!
//! Asked for with the same packages and features as `cargo test --workspace`, so that cargo has compiled the dependencies
//! already; a narrower question (`-p tidegate`) would have other features and compile the larger half of them again.
//!
//! `TIDEGATE_BIN=/path/to/another/tidegate` takes that one instead: a version of before, to see which tests fail on it
//! (`docs/reliability.md`). What it does not know of the last line of the log is then not compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::process::{Finished, finish};

/// The `tidegate` program, of the same profile as this test.
pub fn tidegate() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| another().unwrap_or_else(|| build(&[])))
}

/// The one of another version that this run is about, when it is.
pub fn another() -> Option<PathBuf> {
    std::env::var_os("TIDEGATE_BIN").map(PathBuf::from)
}

/// The same with kill points (`host/src/base/kill_point.rs`): of the dependencies nothing is compiled again.
///
/// Cargo has one place for both. So this one is copied away, and the real one put back, before anybody starts either: whoever
/// uses this asks for it first.
pub fn with_kill_points() -> &'static Path {
    assert!(another().is_none(), "the binary of TIDEGATE_BIN has no kill points");
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let aside = shared_folder().join("tidegate-with-kill-points");
        fs::create_dir_all(shared_folder()).expect("a folder below target");
        // Not over the old one: that may be running still.
        let _ = fs::remove_file(&aside);
        fs::copy(build(&["--features", "tidegate/failpoints"]), &aside).expect("a copy below target");
        tidegate();
        aside
    })
}

fn build(more: &[&str]) -> PathBuf {
    let folder = profile_folder();
    let mut cargo = cargo();
    cargo.args(["build", "--workspace", "--bin", "tidegate", "--test", "e2e"]).args(more);
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => {}
        Some(profile) => drop(cargo.args(["--profile", profile])),
    }
    must_succeed(&mut cargo);
    folder.join("tidegate")
}

/// A folder with the plugins that are shipped and with the fixtures: `vices.wasm` for the tests of the sandbox, `counting.wasm` for
/// those of state, `reading.wasm` and `trivial.wasm` for the benchmarks.
pub fn plugins() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let out = shared_folder().join("plugins");
        let mut build = Command::new(tidegate());
        build.args(["plugin", "build", "--out"]).arg(&out);
        build.arg(workspace().join("plugins")).arg(workspace().join("tests/fixtures"));
        must_succeed(&mut build);
        out
    })
}

/// A folder for what all gateways of these tests may share.
pub fn shared_folder() -> PathBuf {
    profile_folder().join("e2e")
}

/// `target/debug` of `target/debug/deps/e2e-0123456789abcdef`.
fn profile_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    test.ancestors().nth(2).expect("cargo puts tests two levels below the profile's folder").to_owned()
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package is in a workspace")
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    // What `cargo test` says to this process about itself. The build script of `ring` runs again when it changes, and with it
    // everything above TLS would be compiled twice in each round.
    for (name, _) in std::env::vars_os() {
        let about_us =
            name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"));
        if about_us {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Runs without a deadline: a first build takes as long as it takes.
fn must_succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Runs a command of the binary to its end.
pub fn run(args: &[&str], folder: &Path) -> Finished {
    let name = format!("tidegate {}", args.join(" "));
    finish(&name, Command::new(tidegate()).args(args).current_dir(folder))
}
