//! `tidegate spool`: what is kept on disk, and what to do about it.
//!
//! `stat`, `peek`, `export` and `verify` read the files: it makes no difference whether a gateway runs. `requeue` and `purge`
//! change something: a running gateway is asked through its admin socket, without one the files are locked and changed.

mod change;
mod export;
mod known;
mod place;
mod progress;
mod stat;
mod text;
mod verify;

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;

pub use self::export::export_waiting;
pub use self::place::{Place, Where};
pub use self::text::escape;

#[derive(Debug, Subcommand)]
pub enum SpoolCommand {
    /// What waits for each upstream, the dead letters, and the space that it takes
    Stat(stat::Args),
    /// The next messages, one a line
    Peek(export::PeekArgs),
    /// Everything that waits, or all dead letters, as JSON lines
    Export(export::ExportArgs),
    /// Read every frame and report what is damaged; exit code 1 when something is
    Verify(verify::Args),
    /// Send dead letters through their binding again
    Requeue(change::RequeueArgs),
    /// Leave out one message for an upstream of the running gateway: the oldest, or one by its number
    Skip(change::SkipArgs),
    /// Give up dead letters, or what waits for an upstream
    Purge(change::PurgeArgs),
}

// === impl SpoolCommand ===

impl SpoolCommand {
    pub fn run(self, out: &mut impl Write) -> anyhow::Result<ExitCode> {
        match self {
            Self::Stat(args) => stat::run(&args, out),
            Self::Peek(args) => export::peek(&args, out),
            Self::Export(args) => export::run(&args, out),
            Self::Verify(args) => verify::run(&args, out),
            Self::Requeue(args) => change::requeue(args, out),
            Self::Skip(args) => change::skip(&args, out),
            Self::Purge(args) => change::purge(args, out),
        }
    }
}
