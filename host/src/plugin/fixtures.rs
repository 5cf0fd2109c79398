//! Real components for the tests of this crate, built once per run by the same `cargo` that runs them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use crate::config::{self, Grants, Plugin, PluginLimits};

use super::{Engine, LoadedPlugin, Trust};

/// Compiled code is kept beside the components: the second run of the tests compiles nothing.
pub fn engine() -> Engine {
    static ENGINE: LazyLock<Engine> =
        LazyLock::new(|| Engine::new(&config::Engine::default(), Some(&target().join("compiled-plugins"))).unwrap());
    ENGINE.clone()
}

/// Nobody in particular is trusted, and nothing is remembered.
pub fn trust() -> Trust {
    Trust::open(&config::Trust::default(), Path::new("/nowhere")).unwrap()
}

/// The hostile one (`tests/fixtures/vices`).
pub fn vices() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("vices")).clone()
}

/// The one that remembers (`tests/fixtures/counting`).
pub fn counting(config: &str) -> LoadedPlugin {
    loaded(plugin(counting_component(), config))
}

/// The same under other limits.
pub fn counting_with(limits: PluginLimits) -> LoadedPlugin {
    loaded(Plugin { limits, ..plugin(counting_component(), "{}") })
}

fn loaded(plugin: Plugin) -> LoadedPlugin {
    LoadedPlugin::load(&engine(), &trust(), &Plugin { name: "counting".into(), ..plugin }).unwrap()
}

fn counting_component() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| build("counting")).clone()
}

pub fn plugin(component: PathBuf, config: &str) -> Plugin {
    let limits = PluginLimits {
        memory: 16 << 20,
        deadline: Duration::from_millis(200),
        max_outputs: 100,
        max_output_bytes: 1 << 20,
        state: 64 << 10,
        ..PluginLimits::default()
    };
    Plugin {
        name: "vices".into(),
        component,
        sha256: None,
        downgrade_to: None,
        limits,
        grants: Grants::default(),
        config_json: config.into(),
        code: None,
    }
}

pub fn load(config: &str) -> LoadedPlugin {
    LoadedPlugin::load(&engine(), &trust(), &plugin(vices(), config)).unwrap()
}

fn build(package: &str) -> PathBuf {
    let target = target();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "plugin", "--target", "wasm32-wasip2", "--package", package])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(workspace())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "`{package}` does not build");
    target.join("wasm32-wasip2/plugin").join(format!("{package}.wasm"))
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
