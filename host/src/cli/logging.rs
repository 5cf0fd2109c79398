//! The log goes to stderr, so that stdout carries data only.

use std::env;
use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt as _;

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
        let wanted = env::var("RUST_LOG").unwrap_or_default();
        let (filter, error) = match filter(level, &wanted) {
            Ok(filter) => (filter, None),
            Err(error) => (Targets::new().with_default(level), Some(error)),
        };
        let log = tracing_subscriber::fmt::layer().with_writer(io::stderr);
        _ = match self {
            Self::Text => registry().with(log.with_ansi(io::stderr().is_terminal())).with(filter).try_init(),
            Self::Json => registry().with(log.json()).with(filter).try_init(),
        };
        if let Some(error) = error {
            tracing::warn!(
                "RUST_LOG is ignored: {error}; it is a list of `level` and `target=level`, as in `info,tidegate::egress=debug`"
            );
        }
    }
}

/// `level` for what is not mentioned. Targets and levels, not the whole language of `tracing_subscriber::EnvFilter`: that brings
/// regular expressions, and nobody asked for them.
fn filter(level: LevelFilter, wanted: &str) -> Result<Targets, ParseError> {
    let parts = wanted.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.fold(level.to_string(), |list, part| format!("{list},{part}")).parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn what_is_not_mentioned_has_the_usual_level() {
        for wanted in ["", " ,", "tidegate::egress=debug,", ",, tidegate::egress=debug", "warn,,tidegate::egress=debug"]
        {
            let filter = filter(LevelFilter::INFO, wanted).unwrap();
            assert_eq!(filter.would_enable("tidegate::egress", &Level::DEBUG), wanted.contains("debug"), "{wanted}");
            assert_eq!(filter.would_enable("tidegate::spool", &Level::INFO), !wanted.starts_with("warn"), "{wanted}");
            assert!(!filter.would_enable("tidegate::spool", &Level::DEBUG), "{wanted}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(filter(LevelFilter::INFO, "tidegate=loud").is_err());
    }
}
