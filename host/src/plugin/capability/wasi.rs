//! The empty WASI world: what the standard libraries of languages import and honest plugins never call.
//!
//! A Rust guest on `wasm32-wasip2` imports some thirteen WASI interfaces because `std` mentions them. They are satisfied by
//! a world with no arguments, no environment, no files, no input, and an output that only keeps a panic message. `sockets`
//! and `http` are not even that: a component that imports them is refused.
//!
//! - **Clocks stand still.** A plugin's time is the arrival of its message, of the last one in a batch (`context` has each),
//!   so that a recorded stream gives the same output again. With the grant `clock`, they run.
//! - **Nothing waits.** `poll` traps. An epoch deadline ends guest code only; a guest that sleeps in a host call would hold
//!   its worker thread for as long as it likes.
//! - **A seed is real:** hash maps need one against chosen collisions. Random numbers for identifiers and keys are the grant
//!   `random`: what uses them gives another output each time, and a person should know.
//!
//! Not chosen: all of it as traps. A resource type cannot be a trap, and a panic could not say why.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable, ResourceType};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::sync::io::poll::HostPollable;
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random, sync};
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView, async_trait};

use crate::config::Grants;
use crate::plugin::host_state::HostState;
use crate::plugin::limits::{MAX_HANDLES, MAX_LAST_WORDS, MAX_RANDOM_BYTES};

/// The present WASI 0.2: a guest built for any 0.2.x finds it.
const POLL: &str = "wasi:io/poll@0.2.12";

const GIVEN: [&str; 18] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure-seed",
];

/// The world of one instance.
pub struct EmptyWorld {
    wasi: WasiCtx,
    table: ResourceTable,
    stderr: LastWords,
    clock: MessageClock,
}

/// The end of what was written to stderr. Shared with every stream that the guest opens.
#[derive(Clone, Default)]
struct LastWords(Arc<Mutex<Vec<u8>>>);

/// Stands at a message's arrival, in milliseconds since the Unix epoch. Shared with the context.
#[derive(Clone, Default)]
struct MessageClock {
    wall: Arc<AtomicU64>,
    /// Never goes back.
    monotonic: Arc<AtomicU64>,
}

/// A guest tried to wait.
#[derive(Debug, thiserror::Error)]
#[error("a plugin must not sleep or wait: it is called when there is a message")]
pub struct Waited;

struct Table;

// === impl EmptyWorld ===

impl EmptyWorld {
    pub fn new(grants: Grants) -> Self {
        let (stderr, clock) = (LastWords::default(), MessageClock::default());
        let mut wasi = WasiCtx::builder();
        wasi.stderr(stderr.clone()).max_random_size(MAX_RANDOM_BYTES);
        if !grants.clock {
            wasi.wall_clock(clock.clone()).monotonic_clock(clock.clone());
        }
        let wasi = wasi.build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Self { wasi, table, stderr, clock }
    }

    /// What the clocks say from now on, unless they run by themselves.
    pub fn set_time(&self, unix_ms: u64) {
        self.clock.wall.store(unix_ms, Relaxed);
        self.clock.monotonic.fetch_max(unix_ms, Relaxed);
    }

    /// What the guest wrote to stderr last.
    pub fn last_words(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock()).into_owned()
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.world.wasi, table: &mut self.world.table }
    }
}

/// Interfaces that every plugin finds.
pub fn given(name: &str, version: &str) -> bool {
    version.starts_with("0.2.") && GIVEN.contains(&name)
}

/// Interfaces of the grant `random`.
pub fn is_random(name: &str, version: &str) -> bool {
    version.starts_with("0.2.") && name == "wasi:random/random"
}

pub fn grant_random(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    random::random::add_to_linker::<HostState, WasiRandom>(linker, |state| state.world.wasi.random())
}

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    add_cli(linker)?;
    add_io(linker)?;
    clocks::wall_clock::add_to_linker::<HostState, WasiClocks>(linker, HostState::clocks)?;
    clocks::monotonic_clock::add_to_linker::<HostState, WasiClocks>(linker, HostState::clocks)?;
    filesystem::preopens::add_to_linker::<HostState, WasiFilesystem>(linker, HostState::filesystem)?;
    sync::filesystem::types::add_to_linker::<HostState, WasiFilesystem>(linker, HostState::filesystem)?;
    random::insecure_seed::add_to_linker::<HostState, WasiRandom>(linker, |state| state.world.wasi.random())
}

fn add_cli(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    cli::environment::add_to_linker::<HostState, WasiCli>(linker, HostState::cli)?;
    cli::exit::add_to_linker::<HostState, WasiCli>(linker, HostState::cli)?;
    cli::stdin::add_to_linker::<HostState, WasiCli>(linker, HostState::cli)?;
    cli::stdout::add_to_linker::<HostState, WasiCli>(linker, HostState::cli)?;
    cli::stderr::add_to_linker::<HostState, WasiCli>(linker, HostState::cli)?;
    cli::terminal_input::add_to_linker::<HostState, WasiCli>(linker, HostState::cli)?;
    cli::terminal_output::add_to_linker::<HostState, WasiCli>(linker, HostState::cli)?;
    cli::terminal_stdin::add_to_linker::<HostState, WasiCli>(linker, HostState::cli)?;
    cli::terminal_stdout::add_to_linker::<HostState, WasiCli>(linker, HostState::cli)?;
    cli::terminal_stderr::add_to_linker::<HostState, WasiCli>(linker, HostState::cli)
}

fn add_io(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<HostState, Table>(linker, |state| &mut state.world.table)?;
    sync::io::streams::add_to_linker::<HostState, Table>(linker, |state| &mut state.world.table)?;
    let mut poll = linker.instance(POLL)?;
    poll.resource("pollable", ResourceType::host::<DynPollable>(), |mut store, handle| {
        HostPollable::drop(&mut store.data_mut().world.table, Resource::new_own(handle))
    })?;
    poll.func_wrap("[method]pollable.ready", |_, (_,): (Resource<DynPollable>,)| Ok((true,)))?;
    poll.func_wrap("[method]pollable.block", |_, (_,): (Resource<DynPollable>,)| -> wasmtime::Result<()> {
        Err(Waited.into())
    })?;
    poll.func_wrap("poll", |_, (_,): (Vec<Resource<DynPollable>>,)| -> wasmtime::Result<(Vec<u32>,)> {
        Err(Waited.into())
    })
}

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

// === impl LastWords ===

impl LastWords {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        // Bytes have no invariant that a panic could have broken.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StdoutStream for LastWords {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl IsTerminal for LastWords {
    fn is_terminal(&self) -> bool {
        false
    }
}

#[async_trait]
impl Pollable for LastWords {
    async fn ready(&mut self) {}
}

impl OutputStream for LastWords {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut words = self.lock();
        words.extend_from_slice(&bytes);
        let excess = words.len().saturating_sub(MAX_LAST_WORDS);
        words.drain(..excess);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_LAST_WORDS)
    }
}

// === impl MessageClock ===

impl HostWallClock for MessageClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.wall.load(Relaxed))
    }
}

impl HostMonotonicClock for MessageClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.monotonic.load(Relaxed).saturating_mul(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_stand_at_the_message_and_the_monotonic_one_never_goes_back() {
        let clock = EmptyWorld::new(Grants::default());
        for (arrival, wall, monotonic) in [(0, 0, 0), (7, 7, 7), (5, 5, 7)] {
            clock.set_time(arrival);
            assert_eq!(HostWallClock::now(&clock.clock), Duration::from_millis(wall));
            assert_eq!(HostMonotonicClock::now(&clock.clock), monotonic * 1_000_000);
        }
    }

    #[test]
    fn stderr_keeps_the_end_of_what_was_written() {
        let world = EmptyWorld::new(Grants::default());
        let mut stream = world.stderr.clone();
        stream.write(Bytes::from(vec![b'x'; 2 * MAX_LAST_WORDS])).unwrap();
        stream.write(Bytes::from_static(b"the end")).unwrap();
        let words = world.last_words();
        assert_eq!(words.len(), MAX_LAST_WORDS);
        assert!(words.ends_with("xthe end"));
    }
}
