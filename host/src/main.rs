//! Parse and call. Everything else is in the library.

use std::process::ExitCode;

use tidegate::cli::Cli;

/// Measured beside the C library's: 15 to 25 % less CPU for a message (`docs/performance.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::read().map_or_else(|code| code, Cli::run)
}
