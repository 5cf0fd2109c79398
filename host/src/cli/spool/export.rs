//! `tidegate spool peek` and `export`: the same messages, a few for a look or all for a file.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::known;
use super::place::{Place, Where};
use super::progress::progress;
use super::text;
use crate::base::{clock, private_file, timeline};
use crate::cli::Format;
use crate::dead_letter::{self, DEAD_LETTERS, DeadLetter};
use crate::spool::{View, Waiting};

#[derive(Debug, clap::Args)]
pub struct PeekArgs {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    what: What,
    /// So many at most
    #[arg(long, default_value_t = 10)]
    limit: usize,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    what: What,
    /// Into this file, which must not exist, instead of stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Default, clap::Args)]
struct What {
    /// Only what waits for this upstream
    #[arg(long, value_name = "NAME", conflicts_with = "dead_letters")]
    upstream: Option<String>,
    /// The dead letters
    #[arg(long)]
    dead_letters: bool,
    /// The message with this number, as `status` and `peek` show it
    #[arg(long, value_name = "N", requires = "upstream")]
    number: Option<u64>,
    /// The dead letter with this number
    #[arg(long, value_name = "N", requires = "dead_letters")]
    id: Option<u64>,
}

/// Where messages go, one by one.
struct Sink<'a> {
    out: &'a mut dyn Write,
    format: Format,
    left: usize,
    shown: usize,
    /// Of the first write that failed.
    failed: Option<std::io::Error>,
}

pub fn peek(args: &PeekArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    args.what.show(&args.place.find()?, Sink { out, format: args.format, left: args.limit, shown: 0, failed: None })
}

pub fn run(args: &ExportArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = args.place.find()?;
    let Some(path) = &args.output else {
        let mut out = BufWriter::new(out);
        args.what
            .show(&place, Sink { out: &mut out, format: Format::Json, left: usize::MAX, shown: 0, failed: None })?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    };
    args.what.write(&place, path)?;
    Ok(ExitCode::SUCCESS)
}

/// All that waits for upstreams, into a new file.
pub fn export_waiting(place: &Place, path: &Path) -> anyhow::Result<()> {
    What::default().write(place, path)
}

// === impl What ===

impl What {
    fn write(&self, place: &Place, path: &Path) -> anyhow::Result<()> {
        let file = private_file::create(path);
        let mut file = BufWriter::new(file.with_context(|| format!("cannot make `{}`", path.display()))?);
        self.show(place, Sink { out: &mut file, format: Format::Json, left: usize::MAX, shown: 0, failed: None })?;
        Ok(file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?)
    }

    fn show(&self, place: &Place, mut sink: Sink<'_>) -> anyhow::Result<ExitCode> {
        if self.dead_letters {
            let view = dead_letter::View::read(&place.letters(), &mut progress("reading the dead letters"))?;
            let is_wanted = |id: u64| self.id.is_none_or(|wanted| wanted == id);
            let mut visit = |id, letter: DeadLetter| !is_wanted(id) || sink.letter(id, &letter);
            view.letters(&place.letters(), &mut progress("writing"), &mut visit)?;
        } else {
            let view = View::read(&place.spool(), &mut progress("reading the spool"))?;
            if let Some(name) = &self.upstream {
                known::upstream(name, place, &view)?;
            }
            let wanted = |name: &str| self.upstream.as_ref().map_or(name != DEAD_LETTERS, |wanted| wanted == name);
            let is_wanted = |waiting: &Waiting<'_>| {
                wanted(waiting.upstream) && self.number.is_none_or(|number| number == waiting.number)
            };
            let mut visit = |waiting: Waiting<'_>| !is_wanted(&waiting) || sink.waiting(&waiting);
            view.waiting(&place.spool(), &mut progress("writing"), &mut visit)?;
        }
        if let Some(error) = sink.failed {
            return Err(error.into());
        }
        if let (Some(number), 0) = (self.number.or(self.id), sink.shown) {
            bail!(
                "there is none with number {number}: it has been sent, or went; `tidegate spool peek` shows those that there are"
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

// === impl Sink ===

impl Sink<'_> {
    fn waiting(&mut self, waiting: &Waiting<'_>) -> bool {
        let Waiting { upstream, number, arrived_ms, message } = waiting;
        let line = match self.format {
            Format::Text => format!("{} {number} {}", text::escape(upstream), text::line(message)),
            Format::Json => {
                let message = text::message(message);
                // As people tell time.
                let arrived_ms = clock::unix_ms_of(timeline::instant_of(*arrived_ms));
                json!({ "upstream": upstream, "number": number, "arrived_ms": arrived_ms, "message": message })
                    .to_string()
            }
        };
        self.put(&line)
    }

    fn letter(&mut self, id: u64, letter: &DeadLetter) -> bool {
        let line = match self.format {
            Format::Text => {
                let metadata = &letter.metadata;
                let by = if metadata.upstream.is_empty() { &metadata.plugin } else { &metadata.upstream };
                let reason = format!("{}/{by} {}: {}", metadata.binding, metadata.reason, metadata.detail);
                format!("{id} {} ({}, tried {})", text::line(&letter.message), text::escape(&reason), metadata.attempts)
            }
            Format::Json => text::letter(Some(id), letter).to_string(),
        };
        self.put(&line)
    }

    /// Whether there may be more.
    fn put(&mut self, line: &str) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        self.shown += 1;
        if let Err(error) = writeln!(self.out, "{line}") {
            self.failed = Some(error);
            self.left = 0;
        }
        self.left > 0
    }
}
