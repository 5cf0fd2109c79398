//! The log goes to stderr, so that stdout carries data only.
//!
//! A gateway's log goes through a queue, because whoever reads it may stop reading (`base/log_writer`). The log of a command that
//! ends soon is written at once, in order with what else the command says.

use std::env;
use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::base::log_limit::LogLimit;
use crate::base::log_writer::LogWriter;
use crate::base::plain::Plain;

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// How lines leave the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// When they are made. A reader that does not read stops whoever speaks.
    Direct,
    /// By a thread of their own; what has no room is lost and counted.
    Queued,
}

// === impl LogFormat ===

impl LogFormat {
    /// Takes the process's one log. A second call changes nothing, as when a test runs two commands.
    pub fn install(self, level: LevelFilter, delivery: Delivery) {
        let wanted = env::var("RUST_LOG").unwrap_or_default();
        let (filter, error) = match filter(level, &wanted) {
            Ok(filter) => (filter, None),
            Err(error) => (Targets::new().with_default(level), Some(error)),
        };
        let (limit, ansi) = (LogLimit::default(), io::stderr().is_terminal());
        let is_styled = ansi && matches!(self, Self::Text);
        let log = tracing_subscriber::fmt::layer().with_writer(delivery.writer(is_styled));
        _ = match self {
            Self::Text => registry().with(log.with_ansi(ansi)).with(limit).with(filter).try_init(),
            Self::Json => registry().with(log.json()).with(limit).with(filter).try_init(),
        };
        if let Some(error) = error {
            tracing::warn!(
                "RUST_LOG is ignored: {error}; it is a list of `level` and `target=level`, as in `info,tidegate::egress=debug`"
            );
        }
    }
}

// === impl Delivery ===

impl Delivery {
    /// A log ends at a terminal, sooner or later. Of what others say the formatter escapes ESC and C1, so that colours can be told from them;
    /// the rest of C0 is left to this.
    fn writer(self, is_styled: bool) -> BoxMakeWriter {
        let queued = if self == Self::Queued { LogWriter::of_process().ok() } else { None };
        match (queued, is_styled) {
            (Some(log), true) => BoxMakeWriter::new(move || Plain::styled(log.clone())),
            (Some(log), false) => BoxMakeWriter::new(move || Plain::new(log.clone())),
            // Also without a thread to spare: a log that may stop us is better than none.
            (None, true) => BoxMakeWriter::new(|| Plain::styled(io::stderr())),
            (None, false) => BoxMakeWriter::new(|| Plain::new(io::stderr())),
        }
    }
}

/// rustls warns of each device that it does not like, in words of its own, as often as a stranger wants: ours say it once for each kind
/// (`tls/refusal.rs`). Who wants to read them asks for `rustls=debug`.
const STRANGERS: &str = "rustls=off";

/// `level` for what is not mentioned. Targets and levels, not the whole language of `tracing_subscriber::EnvFilter`: that brings
/// regular expressions, and nobody asked for them.
fn filter(level: LevelFilter, wanted: &str) -> Result<Targets, ParseError> {
    let parts = wanted.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.fold(format!("{level},{STRANGERS}"), |list, part| format!("{list},{part}")).parse()
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
    fn what_rustls_says_of_strangers_has_to_be_asked_for() {
        for (wanted, says) in [("", false), ("debug", false), ("rustls=warn", true), ("trace,rustls=debug", true)] {
            let filter = filter(LevelFilter::INFO, wanted).unwrap();
            assert_eq!(filter.would_enable("rustls::msgs::handshake", &Level::WARN), says, "{wanted}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(filter(LevelFilter::INFO, "tidegate=loud").is_err());
    }
}
