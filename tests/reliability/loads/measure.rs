//! One load: the gateway alone with its honest devices, then beside the load, then in a new process.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidegate_tests::gateway::{Gateway, Home, Launch};
use tidegate_tests::upstream::Upstream;

use super::attack::Attack;
use super::footprint::Footprint;
use super::honest::{Honest, Seen};
use super::work::{Used, Work};

/// How long devices are watched before a load, and beside it at least.
const WATCHED: Duration = Duration::from_secs(3);

/// What devices do that are no trouble to anybody.
const HONEST: &str = r#"
[plugins.honest]
component = "plugins/threshold.wasm"
config = { min = 0.0 }

[[bindings]]
name = "honest"
topic = "honest/#"
plugins = ["honest"]
to = [{ upstream = "cloud", topic = "up/{topic}" }]
"#;

/// Something that a device, or a plugin, can do to a gateway.
#[derive(Clone, Copy)]
pub struct Load {
    /// As it is named on the command line.
    pub name: &'static str,
    /// What is sent, for people.
    pub sends: &'static str,
    /// Added to the configuration.
    pub config: fn() -> String,
    /// Whether the upstream is away meanwhile.
    pub is_upstream_away: bool,
    /// Done before anything is measured.
    pub prepare: fn(&mut Attack),
    pub attack: fn(&mut Attack),
}

/// Sizes in bytes.
pub struct Measured {
    pub quiet: Seen,
    /// Beside something else that takes as much of the processors as the load did.
    pub busy: Seen,
    pub before: Held,
    pub loaded: Loaded,
    pub restarted: Held,
}

/// Beside the load.
pub struct Loaded {
    pub seen: Seen,
    pub held: Held,
    pub sent: usize,
    pub written: usize,
    pub letters: u64,
    pub refusals: String,
    /// That the gateway and who attacks it took.
    pub cores: f64,
}

/// The most memory that a process had, and what it says that it is charged for.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub memory: usize,
    pub charge: usize,
}

// === impl Load ===

impl Load {
    /// The rest of one that says only what it does.
    pub const NOTHING: Self =
        Self { name: "", sends: "", config: String::new, is_upstream_away: false, prepare: |_| (), attack: |_| () };

    pub fn measure(&self) -> Measured {
        let upstream = Upstream::start();
        let config = format!("{}{HONEST}{}", upstream.config(5), (self.config)());
        let gateway = Gateway::launch(&Arc::new(Home::new(&config)), &Launch::default());
        let mut prepared = Attack::new(gateway.address());
        (self.prepare)(&mut prepared);
        let honest = Honest::start(gateway.address());
        let used = Used::since_now(Footprint::of(gateway.pid()));
        let (quiet, cores) = (watch(&honest), used.cores());
        let before = Held::now(&gateway);
        upstream.set_away(self.is_upstream_away);
        let loaded = self.beside(&gateway, &honest);
        drop(honest);
        let gateway = gateway.stop_and_keep().start_again();
        upstream.set_away(false);
        let honest = Honest::start(gateway.address());
        drop(watch(&honest));
        let restarted = Held::at_most(&gateway);
        let work = Work::start(loaded.cores - cores);
        let busy = watch(&honest);
        drop(work);
        Measured { quiet, busy, before, loaded, restarted }
    }

    fn beside(&self, gateway: &Gateway, honest: &Honest) -> Loaded {
        let footprint = Footprint::of(gateway.pid());
        footprint.forget_peak();
        let written = footprint.written();
        let (used, mut attack) = (Used::since_now(footprint), Attack::new(gateway.address()));
        (self.attack)(&mut attack);
        thread::sleep(WATCHED.saturating_sub(attack.elapsed()));
        let cores = used.cores();
        let (seen, held, written) = (honest.take(), Held::at_most(gateway), footprint.written() - written);
        let letters = status(gateway)["dead_letters"].as_u64().unwrap_or_default();
        attack.listen();
        Loaded { seen, held, sent: attack.sent, written, letters, refusals: attack.refusals(), cores }
    }
}

fn watch(honest: &Honest) -> Seen {
    honest.take();
    thread::sleep(WATCHED);
    honest.take()
}

// === impl Held ===

impl Held {
    fn now(gateway: &Gateway) -> Self {
        Self { memory: Footprint::of(gateway.pid()).resident(), charge: charge(gateway) }
    }

    fn at_most(gateway: &Gateway) -> Self {
        Self { memory: Footprint::of(gateway.pid()).peak(), charge: charge(gateway) }
    }
}

/// What has a limit for all that there is of it, as `tidegate status` says it: of the account, in queues, as retained, in plugins,
/// of the spool.
fn charge(gateway: &Gateway) -> usize {
    const HELD: [&str; 5] = [
        "tidegate_client_memory_bytes",
        "tidegate_queued_bytes",
        "tidegate_retained_bytes",
        "tidegate_plugin_memory_bytes",
        "tidegate_upstream_memory_bytes",
    ];
    let status = status(gateway);
    let families = status["metrics"].as_array().expect("metrics are a list");
    let held: Vec<_> =
        families.iter().filter(|of| of["name"].as_str().is_some_and(|name| HELD.contains(&name))).collect();
    assert_eq!(held.len(), HELD.len(), "a gateway says what is held: {families:?}");
    let samples = held.iter().filter_map(|family| family["samples"].as_array()).flatten();
    samples.filter_map(|sample| sample["value"].as_f64()).sum::<f64>() as usize
}

fn status(gateway: &Gateway) -> serde_json::Value {
    let finished = gateway.home().tidegate("status", &["--format", "json"]);
    serde_json::from_str(&finished.out).expect("a gateway that runs has a status")
}
