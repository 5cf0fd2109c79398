//! `tidegate import`: from a mosquitto.conf to a configuration of the gateway.
//!
//! ```text
//!  file, include_dir ──source──▶ lines ──outline──▶ broker, listeners, connections ──convert──▶ draft ──▶ TOML
//!                                  │                                                   │
//!                                  └────────── what became of each ◀───────────────────┘ ──report──▶ what was left, and why
//! ```
//!
//! - Every line that is no comment is taken over or named; one that nobody asked for is named, too ([`line::Line::fate`]).
//! - What is written is good for `tidegate check`, as long as the files that it names are there.
//! - Nothing is opened that mosquitto keeps closed: what cannot be kept closed in the same way is written as a comment.
//! - No password is written into the configuration, nor said.

mod convert;
mod draft;
mod line;
mod options;
mod outline;
mod paths;
mod report;
mod section;
mod source;
#[cfg(test)]
mod tests;
mod written;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::draft::Secret;
use self::line::Line;
use self::outline::Outline;
use self::paths::Paths;
use self::report::Report;
use crate::base::log_writer::say;
use crate::base::plain::plain;
use crate::config;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A mosquitto.conf
    file: PathBuf,
    /// Into this file instead of stdout; passwords of upstreams go into files beside it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over files that are there
    #[arg(long, requires = "output")]
    force: bool,
    /// Exit with 1 when a line was left to you
    #[arg(long)]
    strict: bool,
}

/// All that comes of it, nothing written yet.
struct Imported {
    text: String,
    secrets: Vec<Secret>,
    report: Report,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let target = args.output.as_deref().unwrap_or(Path::new("gateway.toml"));
    let paths = Paths::new(&args.file, target);
    let imported = import(&source::read(&args.file)?, &args.file.display().to_string(), &paths, args.output.is_some());
    match &args.output {
        Some(output) => written::all(output, &imported, args.force)?,
        None => out.write_all(imported.text.as_bytes())?,
    }
    say(&plain(&imported.report.talk()));
    let name = target.display().to_string();
    if let Err(problems) = config::parse(&imported.text, &name, paths.folder()) {
        say(&format!("{}\n", super::draw(&problems)));
        say(&plain(&format!("{name} needs this before it runs: {}", problems.summary())));
        return Ok(ExitCode::FAILURE);
    }
    Ok(if args.strict && imported.report.has_left() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Of one file, for those who try what may stand in one.
pub fn of_text(text: &str) -> String {
    let paths = Paths::new(Path::new("mosquitto.conf"), Path::new("gateway.toml"));
    import(&source::lines(text, "mosquitto.conf", 0), "mosquitto.conf", &paths, true).text
}

/// Pure, but for the lines, which remember what became of them.
fn import(lines: &[Line], name: &str, paths: &Paths, has_place: bool) -> Imported {
    let outline = Outline::new(lines);
    let draft = convert::draft(&outline, paths, has_place);
    let report = Report::new(lines);
    let text = format!(
        "# From {}, by `tidegate import`. A setting stands below the lines that it comes from; what was not taken over is named at\n\
         # the end. What there is beside: host/examples/gateway.toml. Where the defaults differ: docs/from-mosquitto.md.\n{}{}",
        draft::one_line(name),
        draft.render(),
        report.comments()
    );
    Imported { text, secrets: draft.secrets, report }
}
