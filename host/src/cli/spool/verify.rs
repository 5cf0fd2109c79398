//! `tidegate spool verify`: is every byte that it was written with?

use std::collections::HashSet;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::place::{Place, Where};
use super::progress::progress;
use crate::base::plain::line;
use crate::cli::Format;
use crate::dead_letter;
use crate::operate::admin::client::Admin;
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

/// What a gateway writes or removes while it is read looks like damage once. What is damaged stays so.
const LOOKS: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = args.place.find()?;
    let mut verdicts = look(&place);
    if matches!(Admin::connect(&place.data_dir), Ok(Some(_))) {
        for _ in 1..LOOKS {
            if verdicts.as_ref().is_ok_and(|verdicts| verdicts.iter().all(Verdict::is_good)) {
                break;
            }
            std::thread::sleep(BETWEEN_LOOKS);
            verdicts = match (verdicts, look(&place)) {
                (Ok(before), Ok(now)) => {
                    Ok(before.into_iter().zip(now).map(|(before, now)| now.confirming(before)).collect())
                }
                (_, now) => now,
            };
        }
    }
    let verdicts = verdicts?;
    match args.format {
        Format::Json => writeln!(out, "{:#}", Value::from_iter(verdicts.iter().map(Verdict::as_json)))?,
        Format::Text => verdicts.iter().try_for_each(|verdict| verdict.write(out))?,
    }
    Ok(if verdicts.iter().all(Verdict::is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// At the spool, then at the dead letters.
fn look(place: &Place) -> anyhow::Result<Vec<Verdict>> {
    let spool = spool::View::read(&place.spool(), &mut progress("verifying the spool"))?;
    let archive = dead_letter::View::read(&place.letters(), &mut progress("verifying the dead letters"))?;
    Ok(vec![Verdict::of_spool(spool), Verdict::of_archive(archive)])
}

// === impl Verdict ===

impl Verdict {
    fn of_spool(view: spool::View) -> Self {
        let (unreadable, lost, has_whole_state) = (view.unreadable(), view.lost(), view.has_whole_state());
        Self { what: "spool", unreadable, lost, has_whole_state, found: view.found }
    }

    fn of_archive(view: dead_letter::View) -> Self {
        Self { what: "dead letters", unreadable: view.unreadable(), lost: 0, has_whole_state: true, found: view.found }
    }

    /// Only what an earlier look has seen as well.
    fn confirming(mut self, before: Self) -> Self {
        let seen: HashSet<_> = before.found.damage.into_iter().map(|(file, offset, _)| (file, offset)).collect();
        self.found.damage.retain(|(file, offset, _)| seen.contains(&(file.clone(), *offset)));
        self.found.more_damage = self.found.more_damage.min(before.found.more_damage);
        self.found.missing = self.found.missing.min(before.found.missing);
        self.unreadable = self.unreadable.min(before.unreadable);
        self.lost = self.lost.min(before.lost);
        self.has_whole_state |= before.has_whole_state;
        self
    }

    fn is_good(&self) -> bool {
        let found = &self.found;
        let damaged = found.more_damage + found.missing + self.unreadable;
        found.damage.is_empty() && damaged == 0 && self.has_whole_state
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let Self { what, found, unreadable, lost, has_whole_state } = self;
        for (file, offset, bytes) in &found.damage {
            writeln!(out, "damaged: {}: {bytes} bytes from offset {offset}", line(&file.display().to_string()))?;
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn verdict(damage: &[(&str, u64)], missing: u64, has_whole_state: bool) -> Verdict {
        let damage = damage.iter().map(|(file, offset)| (PathBuf::from(file), *offset, 10)).collect();
        let found = Found { damage, missing, ..Found::default() };
        Verdict { what: "spool", found, unreadable: 0, lost: 0, has_whole_state }
    }

    #[test]
    fn what_only_one_look_has_seen_is_no_damage_and_what_both_have_seen_is() {
        let one = || verdict(&[("a", 1), ("b", 2)], 3, false);
        assert!(verdict(&[("a", 5), ("c", 2)], 0, true).confirming(one()).is_good());
        let both = verdict(&[("b", 2), ("c", 2)], 1, false).confirming(one());
        assert_eq!(both.found.damage, [(PathBuf::from("b"), 2, 10)]);
        assert_eq!((both.found.missing, both.has_whole_state), (1, false));
    }
}
