//! `tidegate backup` and `tidegate restore`: what a gateway keeps on disk, copied while it runs, and brought back without sending anything twice.

mod copy;
mod restore;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Format;
use super::spool::Where;
use crate::base::{clock, private_file};

pub use restore::{Args as RestoreArgs, run as restore};

/// In a backup: that it is one, and whole.
const MANIFEST: &str = "backup.json";

/// What is beside the logs in a data folder: who the gateway is, its time, and versions of plugins that it has seen.
const FILES: [&str; 3] = ["installation.json", "time", "plugin-versions.json"];

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Where,
    /// Into this folder, which must not exist
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    /// Of what made it.
    version: String,
    made_ms: u64,
    /// Messages that waited for upstreams.
    waiting: u64,
    dead_letters: u64,
}

/// The folder gets its name when it is whole: half a backup is none.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let place = args.place.find()?;
    if args.to.exists() {
        bail!("`{}` is there already: name a folder that is not", args.to.display());
    }
    let mut unfinished = args.to.clone().into_os_string();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    if unfinished.exists() {
        bail!("`{}` is left from a backup that did not end: remove it, then try again", unfinished.display());
    }
    copy::make_private(&unfinished)?;
    let made = copy::data_folder(&place, &unfinished).and_then(|manifest| publish(&unfinished, &args.to, manifest));
    let manifest = match made {
        Ok(manifest) => manifest,
        Err(error) => {
            let _ = fs::remove_dir_all(&unfinished);
            return Err(error);
        }
    };
    let Manifest { waiting, dead_letters, .. } = manifest;
    match args.format {
        Format::Json => writeln!(out, "{}", json!({ "waiting": waiting, "dead_letters": dead_letters }))?,
        Format::Text => {
            writeln!(out, "{}: {waiting} messages that wait, {dead_letters} dead letters", args.to.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn publish(unfinished: &Path, to: &Path, manifest: Manifest) -> anyhow::Result<Manifest> {
    let path = unfinished.join(MANIFEST);
    let written = private_file::write(&path, &serde_json::to_vec_pretty(&manifest)?);
    written.with_context(|| format!("cannot write `{}`", path.display()))?;
    copy::sync(unfinished)?;
    fs::rename(unfinished, to).with_context(|| format!("cannot name it `{}`", to.display()))?;
    copy::sync(to.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new(".")))?;
    Ok(manifest)
}

// === impl Manifest ===

impl Manifest {
    fn new(waiting: u64, dead_letters: u64) -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), made_ms: clock::unix_ms(), waiting, dead_letters }
    }
}
