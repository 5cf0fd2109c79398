//! Plugins that make no sense: valid WebAssembly of random content, made by wasm-smith, and random messages for it.
//!
//! Two kinds. A random *component* hardly ever speaks our contract: it tries the census, the compiler and the linker. A random
//! *module* that exports exactly what the contract wants, wrapped as the SDK's are, gets as far as running: it tries the
//! instance, the crossing and the faults. Nothing is asserted but that the host survives, and gives one outcome for each message.
//!
//! A few seconds by default: a fixed seed, and then one of its own, which is printed when it fails. The long run is
//! `TIDEGATE_SENSELESS_SECONDS=3600 cargo test --workspace --lib senseless -- --nocapture`, a seed once more
//! `TIDEGATE_SENSELESS_SEED=0x…` before the same.

use std::env;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arbitrary::Unstructured;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

use crate::chain::Chain;
use crate::config;
use crate::config::{FaultPolicy, Grants};
use crate::message::{Message, Origin, QoS};
use crate::plugin::Envelope;
use crate::topic::TopicName;

use super::file::ComponentFile;
use super::*;

const FIXED: u64 = 0x7de5_a7e0;
const SECONDS: u64 = 2;

/// On a machine that is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// What wasm-smith builds from: more makes larger modules.
const ENTROPY: usize = 2 << 10;

/// Steps of a module that is made to end.
const FUEL: u32 = 100_000;

/// SplitMix64: the same seed makes the same components on every machine.
struct Random(u64);

/// The contract, as wit-component wants it.
struct Contract {
    resolve: Resolve,
    world: WorldId,
    /// A module with the right imports and exports, and nothing in it.
    hollow: Vec<u8>,
}

#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    loaded: usize,
    started: usize,
    outcomes: usize,
}

// === impl Tally ===

impl Tally {
    fn is_nothing(&self) -> bool {
        self.refused == 0 || self.loaded == 0
    }
}

// === impl Random ===

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.next() as usize % (most + 1);
        (0..length).map(|_| self.next() as u8).collect()
    }
}

// === impl Contract ===

impl Contract {
    fn read() -> Self {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")).unwrap();
        let world = resolve.select_world(&[package], Some("plugin-batched")).unwrap();
        let hollow = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
        let hollow = with_memory(hollow);
        Self { resolve, world, hollow }
    }

    /// A plugin that keeps the contract and means nothing by it. `None` where wasm-smith made something that does not fit.
    fn senseless(&self, random: &mut Random) -> Option<Vec<u8>> {
        let entropy = random.bytes(ENTROPY);
        let config = wasm_smith::Config {
            exports: Some(self.hollow.clone()),
            available_imports: Some(self.hollow.clone()),
            // Most of what traps does so in the first instruction, and is over before a message comes.
            disallow_traps: !random.next().is_multiple_of(4),
            allow_start_export: false,
            max_memories: 1,
            ..config()
        };
        let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(&entropy)).ok()?;
        // The others loop, mostly for ever: `configure` may do so for two seconds, which are then missing here.
        if !random.next().is_multiple_of(16) {
            module.ensure_termination(FUEL).ok()?;
        }
        let mut module = module.to_bytes();
        embed_component_metadata(&mut module, &self.resolve, self.world, StringEncoding::UTF8).ok()?;
        ComponentEncoder::default().module(&module).ok()?.encode().ok()
    }
}

/// The same with 16 pages of memory instead of none, in which no answer could have a place.
fn with_memory(mut module: Vec<u8>) -> Vec<u8> {
    // Section 5, of 3 bytes: one memory, without a maximum, of no pages.
    let at = module.windows(5).position(|bytes| bytes == [5, 3, 1, 0, 0]).expect("a memory section");
    module[at + 4] = 16;
    module
}

/// Without what this wasmtime does not do: it would be refused each time.
fn config() -> wasm_smith::Config {
    wasm_smith::Config {
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        reference_types_enabled: false,
        threads_enabled: false,
        ..wasm_smith::Config::default()
    }
}

/// As many as there is time for, and more where that was not enough to try anything: one that loops may have taken all of it.
fn survive(seed: u64, time: Duration) -> Tally {
    let (mut random, end) = (Random(seed), Instant::now() + time);
    let (contract, engine) = (Contract::read(), Engine::new(&config::Engine::default(), None).unwrap());
    let mut tally = Tally::default();
    while Instant::now() < end || (tally.is_nothing() && Instant::now() < end + PATIENCE) {
        let entropy = random.bytes(ENTROPY);
        if let Ok(component) = wasm_smith::Component::new(config(), &mut Unstructured::new(&entropy)) {
            load(&engine, component.to_bytes(), &mut tally);
        }
        if let Some(plugin) = contract.senseless(&mut random) {
            run(&engine, &plugin, &mut random, &mut tally);
        }
    }
    tally
}

fn load(engine: &Engine, bytes: Vec<u8>, tally: &mut Tally) {
    match Component::make(engine, &ComponentFile::from_bytes(bytes), Grants { clock: true, random: true }) {
        Ok(_) => tally.loaded += 1,
        Err(problem) => {
            assert!(!problem.to_string().is_empty());
            tally.refused += 1;
        }
    }
}

fn run(engine: &Engine, bytes: &[u8], random: &mut Random, tally: &mut Tally) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.wasm");
    std::fs::write(&path, bytes).unwrap();
    let mut spec = fixtures::plugin(path, "{}");
    spec.limits.deadline = Duration::from_millis(5);
    let Ok(plugin) = LoadedPlugin::load(engine, &fixtures::trust(), &spec) else {
        tally.refused += 1;
        return;
    };
    tally.loaded += 1;
    let Ok(mut chain) = Chain::load("b", &[plugin], &FaultPolicy::NONE) else { return };
    tally.started += 1;
    for count in [1, 5] {
        let batch: Vec<_> = (0..count).map(|_| envelope(random)).collect();
        let outcomes = chain.run(batch);
        assert_eq!(outcomes.len(), count);
        tally.outcomes += outcomes.len();
    }
}

fn envelope(random: &mut Random) -> Envelope {
    let message = Message::new(TopicName::parse("a/b").unwrap(), random.bytes(200), QoS::AtLeastOnce);
    Envelope { message, origin: Arc::new(Origin::gateway(0)) }
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok())
}

#[test]
fn the_host_survives_senseless_plugins_and_messages() {
    let time = Duration::from_secs(number("TIDEGATE_SENSELESS_SECONDS").unwrap_or(SECONDS));
    let own = number("TIDEGATE_SENSELESS_SEED").unwrap_or_else(|| RandomState::new().hash_one(0));
    for seed in [FIXED, own] {
        println!("seed {seed:#x}");
        let tally = survive(seed, time);
        println!("{tally:?}");
        assert!(!tally.is_nothing(), "nothing was tried: {tally:?}");
    }
}
