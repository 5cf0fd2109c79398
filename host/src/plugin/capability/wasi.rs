//! The empty WASI world: what the standard libraries of languages import and honest plugins never call.
//!
//! A Rust guest on `wasm32-wasip2` imports some thirteen WASI interfaces because `std` mentions them. They are satisfied by
//! a world with no arguments, no environment, no files, no input, and an output that only keeps a panic message. `sockets`
//! and `http` are not even that: a component that imports them is refused.
//!
//! - **Clocks stand still.** A plugin's time is the arrival of its message (`context`), so that a recorded stream gives the
//!   same output again.
//! - **Nothing waits.** `poll` traps. An epoch deadline ends guest code only; a guest that sleeps in a host call would hold
//!   its worker thread for as long as it likes.
//! - **Randomness is real:** hash maps seed themselves with it against chosen collisions.
//!
//! Not chosen: all of it as traps. A resource type cannot be a trap, and a panic could not say why.

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

use crate::plugin::limits::{MAX_HANDLES, MAX_LAST_WORDS, MAX_RANDOM_BYTES};
use crate::plugin::state::HostState;

/// The present WASI 0.2: a guest built for any 0.2.x finds it.
const POLL: &str = "wasi:io/poll@0.2.12";

const GRANTED: [&str; 19] = [
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
    "wasi:random/random",
];

/// The world of one instance.
pub struct EmptyWorld {
    wasi: WasiCtx,
    table: ResourceTable,
    stderr: LastWords,
}

/// The end of what was written to stderr. Shared with every stream that the guest opens.
#[derive(Clone, Default)]
struct LastWords(Arc<Mutex<Vec<u8>>>);

struct StoppedClock;

/// A guest tried to wait.
#[derive(Debug, thiserror::Error)]
#[error("a plugin must not sleep or wait: it is called when there is a message")]
pub struct Waited;

struct Table;

// === impl EmptyWorld ===

impl EmptyWorld {
    pub fn new() -> Self {
        let stderr = LastWords::default();
        let wasi = WasiCtx::builder()
            .stderr(stderr.clone())
            .wall_clock(StoppedClock)
            .monotonic_clock(StoppedClock)
            .max_random_size(MAX_RANDOM_BYTES)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        Self { wasi, table, stderr }
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

pub fn granted(name: &str, version: &str) -> bool {
    version.starts_with("0.2.") && GRANTED.contains(&name)
}

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    add_cli(linker)?;
    add_io(linker)?;
    clocks::wall_clock::add_to_linker::<HostState, WasiClocks>(linker, HostState::clocks)?;
    clocks::monotonic_clock::add_to_linker::<HostState, WasiClocks>(linker, HostState::clocks)?;
    filesystem::preopens::add_to_linker::<HostState, WasiFilesystem>(linker, HostState::filesystem)?;
    sync::filesystem::types::add_to_linker::<HostState, WasiFilesystem>(linker, HostState::filesystem)?;
    random::random::add_to_linker::<HostState, WasiRandom>(linker, |state| state.world.wasi.random())?;
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

// === impl StoppedClock ===

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

impl HostMonotonicClock for StoppedClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stderr_keeps_the_end_of_what_was_written() {
        let world = EmptyWorld::new();
        let mut stream = world.stderr.clone();
        stream.write(Bytes::from(vec![b'x'; 2 * MAX_LAST_WORDS])).unwrap();
        stream.write(Bytes::from_static(b"the end")).unwrap();
        let words = world.last_words();
        assert_eq!(words.len(), MAX_LAST_WORDS);
        assert!(words.ends_with("xthe end"));
    }
}
