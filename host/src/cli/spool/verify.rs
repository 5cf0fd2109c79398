//! `tidegate spool verify`: is every byte that it was written with?

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::place::Where;
use super::progress::progress;
use crate::cli::Format;
use crate::dead_letter;
use crate::spool::{self, log::Found};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Where,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What one log came to.
struct Verdict {
    what: &'static str,
    found: Found,
    unreadable: u64,
    lost: u64,
    has_whole_state: bool,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = args.place.find()?;
    let spool = spool::View::read(&place.spool(), &mut progress("verifying the spool"))?;
    let archive = dead_letter::View::read(&place.letters(), &mut progress("verifying the dead letters"))?;
    let verdicts = [
        Verdict {
            what: "spool",
            unreadable: spool.unreadable(),
            lost: spool.lost(),
            has_whole_state: spool.has_whole_state(),
            found: spool.found,
        },
        Verdict {
            what: "dead letters",
            unreadable: archive.unreadable(),
            lost: 0,
            has_whole_state: true,
            found: archive.found,
        },
    ];
    match args.format {
        Format::Json => writeln!(out, "{:#}", Value::from_iter(verdicts.iter().map(Verdict::as_json)))?,
        Format::Text => verdicts.iter().try_for_each(|verdict| verdict.write(out))?,
    }
    Ok(if verdicts.iter().all(Verdict::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

// === impl Verdict ===

impl Verdict {
    fn is_good(&self) -> bool {
        let found = &self.found;
        let damaged = found.more_damage + found.missing + self.unreadable;
        found.damage.is_empty() && damaged == 0 && self.has_whole_state
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Self { what, found, unreadable, lost, has_whole_state } = self;
        for (file, offset, bytes) in &found.damage {
            writeln!(out, "damaged: {}: {bytes} bytes from offset {offset}", file.display())?;
        }
        if found.more_damage + found.missing + unreadable + lost > 0 {
            let (more, missing) = (found.more_damage, found.missing);
            writeln!(
                out,
                "{what}: {more} more damaged, {missing} segments missing, {unreadable} unreadable, {lost} messages lost"
            )?;
        }
        if !has_whole_state {
            writeln!(out, "{what}: state is lost: a checkpoint, or the segments that it would replace, are gone")?;
        }
        let good = if self.is_good() { "good" } else { "damaged" };
        writeln!(out, "{what}: {good}: {} frames in {} segments", found.frames, found.segments)
    }

    fn as_json(&self) -> Value {
        let Self { what, found, unreadable, lost, has_whole_state } = self;
        let damage = |(file, offset, bytes): &(std::path::PathBuf, u64, u64)| json!({ "file": file.display().to_string(), "offset": offset, "bytes": bytes });
        json!({
            "what": what,
            "good": self.is_good(),
            "frames": found.frames,
            "segments": found.segments,
            "damage": Value::from_iter(found.damage.iter().map(damage)),
            "more_damage": found.more_damage,
            "missing_segments": found.missing,
            "unreadable": unreadable,
            "lost": lost,
            "state_lost": !has_whole_state,
            "torn_bytes": found.torn_bytes,
        })
    }
}
