//! `tidegate spool requeue` and `purge`: through the gateway when it runs, in its files when it does not.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::known;
use super::place::{Place, Where};
use super::progress::progress;
use crate::base::log_writer::say;
use crate::base::plain::line;
use crate::cli::Format;
use crate::dead_letter::{Archive, ArchiveError, Filter};
use crate::metrics::Counters;
use crate::operate::admin::{Request, client::Admin};
use crate::spool;

#[derive(Debug, clap::Args)]
pub struct RequeueArgs {
    #[command(flatten)]
    place: Where,
    #[command(flatten)]
    which: Which,
    /// All dead letters
    #[arg(long)]
    all: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub struct PurgeArgs {
    #[command(flatten)]
    place: Where,
    /// Dead letters: those that the filters choose, or all
    #[arg(long, required_unless_present = "upstream")]
    dead_letters: bool,
    #[command(flatten)]
    which: Which,
    /// What waits for this upstream, configured or not
    #[arg(long, value_name = "NAME", conflicts_with = "dead_letters")]
    upstream: Option<String>,
    /// Do it: what is purged is gone
    #[arg(long)]
    yes: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub struct SkipArgs {
    #[command(flatten)]
    place: Where,
    /// For this upstream
    #[arg(long, value_name = "NAME")]
    upstream: String,
    /// The message with this number, as `peek` and `status` show it, instead of the oldest
    #[arg(long, value_name = "N")]
    number: Option<u64>,
    /// Do not keep it as a dead letter: it is gone
    #[arg(long)]
    drop: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, clap::Args)]
struct Which {
    /// The one with this number; may be given several times
    #[arg(long = "id", value_name = "N")]
    ids: Vec<u64>,
    /// Those of this binding
    #[arg(long)]
    binding: Option<String>,
    /// Those that this plugin failed on
    #[arg(long)]
    plugin: Option<String>,
    /// Those with this in their reason
    #[arg(long)]
    reason: Option<String>,
}

const USAGE: u8 = 2;

pub fn requeue(args: RequeueArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let filter = args.which.filter();
    if filter.is_empty() && !args.all {
        say("error: say which: --id N, --binding, --plugin, --reason, or --all");
        return Ok(ExitCode::from(USAGE));
    }
    let place = args.place.find()?;
    let (letters, when) = match Admin::connect(&place.data_dir)? {
        Some(mut admin) => (ask(&mut admin, &Request::Requeue { filter: filter.clone() })?, "on their way"),
        None => (in_files(&place, |archive| archive.mark(&filter))?, "to go again at the next start"),
    };
    if letters == 0 {
        known::filter(&filter, &place)?;
    }
    report(args.format, out, letters, when)
}

pub fn purge(args: PurgeArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    if !args.yes {
        say("error: what is purged is gone: look with `tidegate spool peek`, then add --yes");
        return Ok(ExitCode::from(USAGE));
    }
    let place = args.place.find()?;
    let running = Admin::connect(&place.data_dir)?;
    let count = match (&args.upstream, running) {
        (Some(upstream), None) => {
            known::upstream(upstream, &place, &spool::View::read(&place.spool(), &mut progress("reading the spool"))?)?;
            spool::purge(&place.spool(), upstream, &place.spool_limits)?
        }
        // Its sender may have some of them on the wire, under packet ids that must not be given to others.
        (Some(upstream), Some(_)) => bail!("a gateway runs here: stop it, then purge `{upstream}`"),
        (None, Some(mut admin)) => ask(&mut admin, &Request::PurgeDeadLetters { filter: args.which.filter() })?,
        (None, None) => in_files(&place, |archive| archive.purge(&args.which.filter()))?,
    };
    if count == 0 {
        known::filter(&args.which.filter(), &place)?;
    }
    report(args.format, out, count, "purged")
}

/// Only a gateway that runs knows which messages the upstream may have.
pub fn skip(args: &SkipArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = args.place.find()?;
    let mut admin = place.gateway(": start it, then skip")?;
    let (upstream, number, drop) = (args.upstream.clone(), args.number, args.drop);
    let answer = admin.ask(&Request::Skip { upstream, number, drop })?;
    match args.format {
        Format::Json => writeln!(out, "{answer}")?,
        Format::Text => {
            let (number, topic) = (&answer["number"], answer["topic"].as_str().unwrap_or_default());
            let kept = if drop { "dropped" } else { "kept as a dead letter" };
            writeln!(out, "number {number} on {} is left out, {kept}", super::text::escape(topic))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(admin: &mut Admin, request: &Request) -> anyhow::Result<u64> {
    let answer = admin.ask(request)?;
    for warning in answer["warnings"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str) {
        say(&line(&format!("warning: {warning}")));
    }
    answer["dead_letters"].as_u64().context("the gateway's answer has no number of dead letters")
}

fn in_files(place: &Place, work: impl FnOnce(&mut Archive) -> Result<u64, ArchiveError>) -> anyhow::Result<u64> {
    if !place.letters().is_dir() {
        return Ok(0);
    }
    let mut archive = Archive::open(&place.letters(), &place.letter_limits, None, Arc::<Counters>::default())?;
    Ok(work(&mut archive)?)
}

fn report(format: Format, out: &mut impl Write, count: u64, what: &str) -> anyhow::Result<ExitCode> {
    match format {
        Format::Text => writeln!(out, "{count} {what}")?,
        Format::Json => writeln!(out, "{}", json!({ "count": count, "what": what }))?,
    }
    Ok(ExitCode::SUCCESS)
}

// === impl Which ===

impl Which {
    fn filter(&self) -> Filter {
        let Self { ids, binding, plugin, reason } = self;
        Filter { ids: ids.clone(), binding: binding.clone(), plugin: plugin.clone(), reason: reason.clone() }
    }
}
