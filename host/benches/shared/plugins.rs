//! The plugins that are measured, built by the gateway's own command and compiled as a gateway would.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use tidegate::chain::Chain;
use tidegate::config::{self, CompileLimits, FaultPolicy, Grants, PluginLimits};
use tidegate::plugin::{Answer, Engine, Envelope, Instance, LoadedPlugin, StateStore, Trust, Verdict};
use tidegate_tests::binary;

use super::native;

/// Builds and compiles them, once, before anything is measured.
pub fn build() {
    binary::plugins();
    for plugin in [forwarding(), replacing(), reading(), vices()] {
        drop(instance(&plugin));
    }
}

/// JSON: parse, filter, convert, write.
pub fn reading() -> LoadedPlugin {
    load("reading", native::CONFIG)
}

/// What crosses is forwarded as it is.
pub fn forwarding() -> LoadedPlugin {
    load("trivial", r#"{"replace": false}"#)
}

/// The payload comes back as a new one.
pub fn replacing() -> LoadedPlugin {
    load("trivial", r#"{"replace": true}"#)
}

/// Breaks when it is told to.
pub fn vices() -> LoadedPlugin {
    load("vices", "{}")
}

pub fn instance(plugin: &LoadedPlugin) -> Instance {
    plugin.start_with(&StateStore::default()).expect("an instance")
}

pub fn chain(plugin: &LoadedPlugin) -> Chain {
    Chain::load("bench", std::slice::from_ref(plugin), &FaultPolicy::NONE).expect("a chain of one plugin")
}

/// One call into the guest. That no message fails is asserted where it is timed: an error path is fast, too.
pub fn cross(instance: &mut Instance, batch: &[Envelope]) {
    match batch {
        [one] => check(&instance.process_one(one).unwrap_or_else(|fault| panic!("{fault}"))),
        many => {
            let answers = instance.process_batch(many).unwrap_or_else(|fault| panic!("{fault}"));
            answers.iter().for_each(check);
        }
    }
}

fn check(answer: &Answer) {
    assert!(matches!(answer, Ok(Verdict::Forward | Verdict::Replace(_))), "{answer:?}");
}

fn load(name: &str, config_json: &str) -> LoadedPlugin {
    static ENGINE: LazyLock<Engine> = LazyLock::new(engine);
    let plugin = config::Plugin {
        name: name.to_owned(),
        component: binary::shared_folder().join("plugins").join(name).with_extension("wasm"),
        sha256: None,
        downgrade_to: None,
        // A machine that is busy with something else is no fault of the plugin.
        limits: PluginLimits { deadline: Duration::from_secs(10), ..PluginLimits::default() },
        grants: Grants::default(),
        config_json: config_json.to_owned(),
        code: None,
    };
    let trust = Trust::open(&config::Trust::default(), Path::new("/nowhere")).expect("nobody to trust");
    LoadedPlugin::load(&ENGINE, &trust, &plugin).unwrap_or_else(|error| panic!("{error}"))
}

/// Compiled code is kept for the next run, as a gateway keeps it.
fn engine() -> Engine {
    let cache = binary::shared_folder().join("compiled");
    // Under an instrument the compiler takes its address space and its time, too.
    let limits = CompileLimits { memory: 8 << 30, time: Duration::from_secs(600), ..CompileLimits::default() };
    Engine::new(&config::Engine { limits, ..config::Engine::default() }, Some(&cache)).expect("an engine")
}
