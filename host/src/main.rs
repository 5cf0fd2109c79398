//! Parse and call. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use tidegate::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
