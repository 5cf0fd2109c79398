//! `tidegate restore`: a backup becomes the data folder of a gateway.
//!
//! Between the backup and now, the gateway that it was made of may have sent what waits in it. So what waits for upstreams is not sent, unless somebody
//! says so: it is written to a file, and given up in the spool. Everything else is as it was: sessions, retained messages, what plugins remember, dead
//! letters. At its first start the gateway sees that its folder is a copy, and begins new sessions at its upstreams.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::{FILES, MANIFEST, Manifest, copy};
use crate::app::SPOOL;
use crate::cli::Format;
use crate::cli::spool::{Place, Where, export_waiting};
use crate::dead_letter::FOLDER;
use crate::operate::admin::client::Admin;
use crate::spool::{self, View};

/// Within the data folder, until it is whole.
const UNFINISHED: &str = "restore.unfinished";

/// What was not sent, as `tidegate spool export` writes it.
const NOT_SENT: &str = "not-sent.jsonl";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder that `tidegate backup` has made
    backup: PathBuf,
    #[command(flatten)]
    place: Where,
    /// Send what waited for upstreams, although they may have had it: after the loss of the disk, right after the backup
    #[arg(long)]
    send_again: bool,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = args.place.find_or_make()?;
    read_manifest(&args.backup)?;
    refuse_unless_empty(&place)?;
    let unfinished = place.data_dir.join(UNFINISHED);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).with_context(|| format!("cannot remove `{}`", unfinished.display()))?;
    }
    copy::make_private(&unfinished)?;
    copy::data_folder(&Place::at(args.backup.clone()), &unfinished)?;
    let waiting = if args.send_again { 0 } else { give_up(&place, &unfinished)? };
    publish(&unfinished, &place.data_dir)?;
    report(args, &place, waiting, out)?;
    Ok(ExitCode::SUCCESS)
}

fn read_manifest(backup: &Path) -> anyhow::Result<Manifest> {
    let path = backup.join(MANIFEST);
    let text = fs::read(&path).with_context(|| format!("`{}` is no backup, or not a whole one", backup.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("`{}` makes no sense", path.display()))
}

/// What is acknowledged there is not for us to throw away.
fn refuse_unless_empty(place: &Place) -> anyhow::Result<()> {
    let dir = place.data_dir.display();
    if Admin::connect(&place.data_dir)?.is_some() {
        bail!("a gateway runs on `{dir}`: stop it first");
    }
    if let Some(there) = [place.spool(), place.letters()].iter().find(|folder| folder.exists()) {
        bail!(
            "`{}` is there already: a backup is restored to a data folder that has none; move it away first",
            there.display()
        );
    }
    Ok(())
}

/// Writes down what waits for upstreams, and takes it out of the spool. How many messages they were.
fn give_up(place: &Place, unfinished: &Path) -> anyhow::Result<u64> {
    let spool = unfinished.join(SPOOL);
    if !spool.is_dir() {
        return Ok(0);
    }
    let restored = Place { data_dir: unfinished.to_owned(), ..Place::at(place.data_dir.clone()) };
    let not_sent = unfinished.join(NOT_SENT);
    export_waiting(&restored, &not_sent)?;
    let upstreams = View::read(&spool, &mut |_, _| ())?.upstreams();
    let given_up = upstreams.iter().map(|upstream| spool::purge(&spool, upstream, &place.spool_limits));
    let count = given_up.sum::<Result<u64, _>>()?;
    if count == 0 {
        fs::remove_file(&not_sent)?;
    }
    Ok(count)
}

/// The spool comes last: without it this can be done again.
fn publish(unfinished: &Path, data_dir: &Path) -> anyhow::Result<()> {
    for name in FILES.iter().chain(&[NOT_SENT, FOLDER, SPOOL]) {
        let from = unfinished.join(name);
        if from.exists() {
            fs::rename(&from, data_dir.join(name)).with_context(|| format!("cannot put `{name}` in its place"))?;
        }
    }
    copy::sync(data_dir)?;
    fs::remove_dir_all(unfinished).context("cannot remove what is left of it")
}

fn report(args: &Args, place: &Place, given_up: u64, out: &mut impl Write) -> anyhow::Result<()> {
    let file = place.data_dir.join(NOT_SENT);
    match args.format {
        Format::Json => writeln!(out, "{}", json!({ "not_sent": given_up }))?,
        Format::Text if given_up == 0 => writeln!(out, "restored to `{}`", place.data_dir.display())?,
        Format::Text => writeln!(
            out,
            "restored to `{}`; {given_up} messages that waited for upstreams are not sent, because they may have been since: they are in `{}`",
            place.data_dir.display(),
            file.display()
        )?,
    }
    Ok(())
}
