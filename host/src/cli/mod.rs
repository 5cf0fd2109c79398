//! The command line: one file per command.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0; 1, it did not work; 2, the command line is wrong (clap's own);
//! 78, the configuration is wrong (`EX_CONFIG` of sysexits, which supervisors know not to restart on).
//!
//! A new command is a file with `Args` and `run`, a variant of `Command`, and an arm in `Command::run`.

mod backup;
mod check;
mod compile;
mod completions;
mod demo;
mod explain;
pub mod import;
mod log;
mod logging;
mod manual;
mod passwd;
pub mod plugin_build;
mod plugin_new;
mod plugin_sdk;
mod reload;
mod rights;
mod run;
mod sessions;
mod signals;
mod spool;
mod status;
mod tap;
mod test;
mod top;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::filter::LevelFilter;

use self::logging::Delivery;
use crate::base::log_writer::{self, say};
use crate::base::plain::{Plain, line, plain};
use crate::config::{self, Config, Problems};
use crate::setup::Refusals;

/// A WebAssembly plugin host for MQTT at the edge.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version)]
pub struct Cli {
    /// How to write the log, which goes to stderr: as text, unless the configuration says otherwise; RUST_LOG chooses what is in it.
    #[arg(long, global = true, value_enum)]
    log_format: Option<logging::LogFormat>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or SIGINT
    Run(run::Args),
    /// Find every problem of a configuration, and try its upstreams; changes nothing
    Check(check::Args),
    /// Say which bindings and plugins a topic meets, and where it would go
    Explain(explain::Args),
    /// Make a configuration of a mosquitto.conf, and name what was not taken over
    Import(import::Args),
    /// Put messages through the bindings, offline: `[topic] payload` lines in, the same form out
    Test(test::Args),
    /// Show it all on this machine: simulated devices, plugins, an upstream, and the proof
    Demo(demo::Args),
    /// Look at what is kept on disk, and change it
    #[command(subcommand)]
    Spool(spool::SpoolCommand),
    /// Copy what a gateway keeps on disk, also while it runs
    Backup(backup::Args),
    /// Bring a backup back, without sending again what waited in it
    Restore(backup::RestoreArgs),
    /// The sessions of devices on a running gateway: who is connected or away, and what waits; `drop` ends one
    Sessions(sessions::Args),
    /// A running gateway reads its configuration again: what can change now does, and what needs a restart is named
    Reload(reload::Args),
    /// A running gateway at a glance
    Status(status::Args),
    /// What a running gateway logs, and another level for it
    Log(log::Args),
    /// The same as status, refreshed in a terminal, with what has come in between
    Top(top::Args),
    /// Messages of a running gateway as they come, and why one did not arrive
    Tap(tap::Args),
    /// Set the password of a user in a password file, or take the user out
    Passwd(passwd::Args),
    /// Work on plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// What a shell needs to complete commands and options
    Completions(completions::Args),
    /// The manual pages of all commands
    Man(manual::Args),
    /// Compile a component from stdin to stdout within limits: what the gateway runs for itself
    #[command(hide = true)]
    Compile(compile::Args),
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Make a new plugin in Rust, with a test, a gateway to try it on, and what to type next
    New(plugin_new::Args),
    /// Build plugin crates into components
    Build(plugin_build::Args),
    /// Write the SDK for plugins in Rust into a folder, and the line that depends on it
    Sdk(plugin_sdk::Args),
}

/// Which configuration a command is about.
#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

const EXIT_CONFIG: u8 = 78;

/// How long the end of a process waits for its last lines to be read.
const LAST_LINES: Duration = Duration::from_millis(500);

// === impl Cli ===

impl Cli {
    /// The command line, read; or what is to be said instead, with its exit code. What was typed is quoted there.
    pub fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            let error = on_one_line(error);
            let text = error.render().to_string();
            if plain(&text) == text {
                // In colour.
                let _ = error.print();
            } else {
                say(&plain(&text));
            }
            u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        })
    }

    pub fn run(self) -> ExitCode {
        logging::install(self.log_format, self.command.log_level(), self.command.log_delivery());
        // Not locked for good: a command that draws from a second thread would wait for ever.
        let ran = match self.command.is_raw() {
            true => self.command.run(&mut io::stdout()),
            false => self.command.run(&mut Plain::new(io::stdout())),
        };
        let code = match ran {
            Ok(code) => code,
            Err(error) => complain(&error),
        };
        log_writer::flush(LAST_LINES);
        code
    }
}

// === impl Command ===

impl Command {
    /// What is logged unless RUST_LOG says otherwise. Where the result is drawn, the course of things would be drawn over it.
    fn log_level(&self) -> LevelFilter {
        match self {
            Self::Demo(_)
            | Self::Test(_)
            | Self::Sessions(_)
            | Self::Spool(_)
            | Self::Status(_)
            | Self::Reload(_)
            | Self::Tap(_)
            | Self::Top(_)
            | Self::Log(_)
            | Self::Backup(_)
            | Self::Restore(_) => LevelFilter::WARN,
            _ => LevelFilter::INFO,
        }
    }

    /// Whether what it writes is bytes, or moves a cursor. Everything else may reach a terminal in the end, also through a pipe.
    fn is_raw(&self) -> bool {
        matches!(self, Self::Compile(_) | Self::Completions(_) | Self::Man(_) | Self::Top(_))
    }

    fn log_delivery(&self) -> Delivery {
        if matches!(self, Self::Run(_)) { Delivery::Queued } else { Delivery::Direct }
    }

    fn run(self, out: &mut impl Write) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run(args) => run::run(&args),
            Self::Check(args) => check::run(&args, out),
            Self::Explain(args) => explain::run(&args, out),
            Self::Import(args) => import::run(&args, out),
            Self::Test(args) => test::run(&args, out),
            Self::Demo(args) => demo::run(&args, out),
            Self::Spool(command) => command.run(out),
            Self::Sessions(args) => sessions::run(&args, out),
            Self::Reload(args) => reload::run(&args, out),
            Self::Status(args) => status::run(&args, out),
            Self::Tap(args) => tap::run(&args, out),
            Self::Backup(args) => backup::run(&args, out),
            Self::Restore(args) => backup::restore(&args, out),
            Self::Log(args) => log::run(&args, out),
            Self::Top(args) => top::run(&args, out),
            Self::Passwd(args) => passwd::run(&args, out),
            Self::Completions(args) => completions::run(&args, out),
            Self::Man(args) => manual::run(&args, out),
            Self::Plugin(PluginCommand::New(args)) => plugin_new::run(&args, out),
            Self::Plugin(PluginCommand::Build(args)) => plugin_build::run(&args, out),
            Self::Plugin(PluginCommand::Sdk(args)) => plugin_sdk::run(&args, out),
            Self::Compile(args) => compile::run(&args, out),
        }
    }
}

// === impl ConfigFile ===

impl ConfigFile {
    /// The configuration, its warnings shown; or its problems, which [`complain`] draws.
    fn load(&self) -> anyhow::Result<Config> {
        let config = config::load(&self.config)?;
        if !config.warnings.is_empty() {
            say(&format!("{}\n", draw(&config.warnings)));
        }
        Ok(config)
    }

    fn path(&self) -> &Path {
        &self.config
    }
}

/// What was typed is quoted by clap as it is: a line end in it would begin a line that looks like ours.
fn on_one_line(mut error: clap::Error) -> clap::Error {
    let is_typed =
        |kind| matches!(kind, ContextKind::InvalidArg | ContextKind::InvalidValue | ContextKind::InvalidSubcommand);
    let quoted = |(kind, value): (ContextKind, &ContextValue)| match value {
        ContextValue::String(text) if is_typed(kind) => Some((kind, ContextValue::String(line(text)))),
        _ => None,
    };
    let typed: Vec<_> = error.context().filter_map(quoted).collect();
    for (kind, value) in typed {
        error.insert(kind, value);
    }
    error
}

/// With colours where somebody looks.
fn draw(problems: &Problems) -> String {
    problems.render(io::stderr().is_terminal())
}

fn complain(error: &anyhow::Error) -> ExitCode {
    if let Some(problems) = error.downcast_ref::<Problems>() {
        say(&format!("{}\n", draw(problems)));
        say(&line(&format!("{}: {}", problems.file(), problems.summary())));
        return ExitCode::from(EXIT_CONFIG);
    }
    if let Some(refusals) = error.downcast_ref::<Refusals>() {
        refusals.0.iter().for_each(|refusal| say(&line(&format!("error: {refusal}"))));
        return ExitCode::from(EXIT_CONFIG);
    }
    let closed = |cause: &io::Error| cause.kind() == ErrorKind::BrokenPipe;
    // `tidegate explain ... | head -1` is no error.
    if !error.downcast_ref().is_some_and(closed) {
        say(&line(&format!("error: {error:#}")));
    }
    ExitCode::FAILURE
}
