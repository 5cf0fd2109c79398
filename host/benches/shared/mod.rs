//! What both programs measure with.

pub mod bindings;
pub mod codec;
pub mod messages;
pub mod native;
pub mod page;
pub mod plugins;
pub mod tally;
pub mod work;

use std::process::ExitCode;

use clap::Parser as _;
use tidegate::cli::Cli;

/// A gateway compiles plugins in a process of its own, which is its own program with the command `compile`: here, this one.
pub fn compiler() -> Option<ExitCode> {
    let is_asked = std::env::args().nth(1).is_some_and(|command| command == "compile");
    is_asked.then(|| Cli::parse().run())
}
