//! The log goes to stderr, so that stdout carries data only.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

// === impl LogFormat ===

impl LogFormat {
    /// Takes the process's one log. A second call changes nothing, as when a test runs two commands.
    pub fn install(self, level: LevelFilter) {
        let filter = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
        _ = match self {
            Self::Text => log.with_ansi(io::stderr().is_terminal()).try_init(),
            Self::Json => log.json().try_init(),
        };
    }
}
