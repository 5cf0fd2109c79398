//! The log goes to stderr, so that stdout carries data only.

use std::env;
use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
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
        // Its own default would let nothing finer than `info` through.
        let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(io::stderr);
        _ = match self {
            Self::Text => log.with_ansi(io::stderr().is_terminal()).finish().with(filter).try_init(),
            Self::Json => log.json().finish().with(filter).try_init(),
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
    let wanted = wanted.trim().trim_end_matches(',');
    if wanted.is_empty() { Ok(Targets::new().with_default(level)) } else { format!("{level},{wanted}").parse() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn what_is_not_mentioned_has_the_usual_level() {
        for wanted in ["", "tidegate::egress=debug,", "warn,tidegate::egress=debug"] {
            let filter = filter(LevelFilter::INFO, wanted).unwrap();
            assert_eq!(filter.would_enable("tidegate::egress", &Level::DEBUG), !wanted.is_empty(), "{wanted}");
            assert_eq!(filter.would_enable("tidegate::spool", &Level::INFO), !wanted.starts_with("warn"), "{wanted}");
            assert!(!filter.would_enable("tidegate::spool", &Level::DEBUG), "{wanted}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(filter(LevelFilter::INFO, "tidegate=loud").is_err());
    }
}
