//! The log goes to stderr, so that stdout carries data only.
//!
//! A gateway's log goes through a queue, because whoever reads it may stop reading (`base/log_writer`). The log of a command that
//! ends soon is written at once, in order with what else the command says.

use std::env;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, registry, reload};

use crate::base::journal::{Journal, JournalSocket, SOCKET};
use crate::base::log_levels::{self, LogLevels};
use crate::base::log_limit::LogLimit;
use crate::base::log_writer::LogWriter;
use crate::base::plain::Plain;
use crate::config;

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

type Writer = Box<dyn Layer<Registry> + Send + Sync>;

/// Where the command line has no word on it, the configuration has.
static FORMAT: OnceLock<reload::Handle<Writer, Registry>> = OnceLock::new();

/// Takes the process's one log. A second call changes nothing, as when a test runs two commands.
pub fn install(format: Option<LogFormat>, level: LevelFilter, delivery: Delivery) {
    let wanted = env::var("RUST_LOG").unwrap_or_default();
    let (environment, error) = match wanted.parse() {
        Ok(levels) => (levels, None),
        Err(error) => (LogLevels::default(), Some(error)),
    };
    let usual = usual(level);
    let (writer, handle) = reload::Layer::new(format.unwrap_or_default().writer(delivery));
    let (filter, levels) = reload::Layer::new(usual.and(&environment).filter());
    if registry().with(writer).with(LogLimit::default()).with(filter).try_init().is_err() {
        return;
    }
    // The subscriber lives as long as the process.
    log_levels::begin(usual, environment, move |filter| _ = levels.reload(filter));
    if format.is_none() {
        FORMAT.get_or_init(|| handle);
    }
    if let Some(error) = error {
        tracing::warn!(
            "RUST_LOG is ignored: {error}; it is a list of `level` and `target=level`, as in `info,tidegate::egress=debug`"
        );
    }
}

/// A gateway has read how it is to log.
pub fn configured(log: &config::Log) {
    log_levels::configure(&log.level);
    let Some(handle) = FORMAT.get() else { return };
    let writer = match log.format {
        None | Some(config::LogFormat::Text) => return,
        Some(config::LogFormat::Json) => Ok(LogFormat::Json.writer(Delivery::Queued)),
        Some(config::LogFormat::Journald) => journal(),
    };
    match writer {
        // As above.
        Ok(writer) => _ = handle.reload(writer),
        Err(error) => tracing::warn!(
            "the log is text on stderr, because there is no journal at `{SOCKET}` ({error}); outside of systemd, remove `format` under [log]"
        ),
    }
}

fn journal() -> io::Result<Writer> {
    let log = LogWriter::of_journal(JournalSocket::at(Path::new(SOCKET))?)?;
    Ok(Journal(move || log.clone()).boxed())
}

/// rustls warns of each device that it does not like, in words of its own, as often as a stranger wants: ours say it once for each kind
/// (`tls/refusal.rs`). Who wants to read them asks for `rustls=debug`.
fn usual(level: LevelFilter) -> LogLevels {
    let strangers = "rustls=off".parse().unwrap_or_default();
    LogLevels::of(level).and(&strangers)
}

// === impl LogFormat ===

impl LogFormat {
    fn writer(self, delivery: Delivery) -> Writer {
        let ansi = io::stderr().is_terminal();
        let is_styled = ansi && matches!(self, Self::Text);
        let log = tracing_subscriber::fmt::layer().with_writer(delivery.writer(is_styled));
        match self {
            Self::Text => log.with_ansi(ansi).boxed(),
            Self::Json => log.json().boxed(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn what_rustls_says_of_strangers_has_to_be_asked_for() {
        for (wanted, says) in [("", false), ("debug", false), ("rustls=warn", true), ("trace,rustls=debug", true)] {
            let filter = usual(LevelFilter::INFO).and(&wanted.parse().unwrap()).filter();
            assert_eq!(filter.would_enable("rustls::msgs::handshake", &Level::WARN), says, "{wanted}");
        }
    }
}
