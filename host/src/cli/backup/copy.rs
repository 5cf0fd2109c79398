//! A data folder, copied beside the gateway that writes into it.
//!
//! A log can be read at any moment: frames are there when their checks say so, and segments only go when what they say is done or in a checkpoint. So
//! its files are copied as they are, and then read. When something is missing in the copy, because it went or was being written meanwhile, it is made
//! again. The spool comes before the archive: a dead letter on its way from one to the other is then in both, which the archive knows, and never in none.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::{FILES, Manifest};
use crate::app::SPOOL;
use crate::base::log_writer::say;
use crate::cli::spool::Place;
use crate::dead_letter::{self, FOLDER};
use crate::spool::log::Found;
use crate::spool::{DEAD_LETTERS, View};

/// What a log's folder has that is not for a copy: the lock of who runs, and space that is set aside.
const NOT_COPIED: [&str; 2] = ["lock", "reserve"];

/// Each is as long as a copy takes, and segments go minutes apart.
const ATTEMPTS: usize = 5;

pub fn data_folder(place: &Place, to: &Path) -> anyhow::Result<Manifest> {
    for name in FILES {
        copy_if_there(&place.data_dir.join(name), &to.join(name))?;
    }
    let mut waiting = 0;
    if place.spool().is_dir() {
        let view = log(&place.spool(), &to.join(SPOOL), |copy| {
            let view = View::read(copy, &mut |_, _| ())?;
            let is_whole = is_whole(&view.found) && view.has_whole_state();
            Ok((view, is_whole))
        })?;
        view.waiting(&to.join(SPOOL), &mut |_, _| (), &mut |one| {
            waiting += u64::from(one.upstream != DEAD_LETTERS);
            true
        })?;
    }
    let mut letters = 0;
    if place.letters().is_dir() {
        let view = log(&place.letters(), &to.join(FOLDER), |copy| {
            let view = dead_letter::View::read(copy, &mut |_, _| ())?;
            let is_whole = is_whole(&view.found);
            Ok((view, is_whole))
        })?;
        view.letters(&to.join(FOLDER), &mut |_, _| (), &mut |_, _| {
            letters += 1;
            true
        })?;
    }
    Ok(Manifest::new(waiting, letters))
}

/// A folder that nobody else may read.
pub fn make_private(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new().mode(0o700).create(path).with_context(|| format!("cannot make `{}`", path.display()))
}

/// A file or a folder, so that it survives a power cut.
pub fn sync(path: &Path) -> anyhow::Result<()> {
    File::open(path).and_then(|file| file.sync_all()).with_context(|| format!("cannot sync `{}`", path.display()))
}

/// One log, with what `read` makes of the copy. The last attempt holds, whatever it has: what is damaged in the log is damaged in its copy.
fn log<T>(from: &Path, to: &Path, read: impl Fn(&Path) -> anyhow::Result<(T, bool)>) -> anyhow::Result<T> {
    for attempt in 1.. {
        files(from, to)?;
        let (read, is_whole) = read(to)?;
        if !is_whole && attempt < ATTEMPTS {
            fs::remove_dir_all(to).with_context(|| format!("cannot remove `{}`", to.display()))?;
            continue;
        }
        if !is_whole {
            say(&format!("warning: a part of `{}` is damaged or missing: see `tidegate spool verify`", from.display()));
        }
        return Ok(read);
    }
    bail!("cannot copy `{}`", from.display())
}

fn is_whole(found: &Found) -> bool {
    found.missing == 0 && found.damage.is_empty() && found.more_damage == 0
}

/// Checkpoints before segments: what a segment says that goes meanwhile is in a newer one, and the copy is seen to be without it.
fn files(from: &Path, to: &Path) -> anyhow::Result<()> {
    make_private(to)?;
    let mut names: Vec<_> = entries(from)?;
    names.sort_by_key(|name| (!name.starts_with("checkpoint"), name.clone()));
    for name in names.iter().filter(|name| !NOT_COPIED.contains(&name.as_str()) && !name.ends_with(".new")) {
        let (from, to) = (from.join(name), to.join(name));
        if from.is_dir() { files(&from, &to)? } else { copy_if_there(&from, &to)? }
    }
    sync(to)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    read().with_context(|| format!("cannot read `{}`", folder.display()))
}

/// What went meanwhile is not missed here.
fn copy_if_there(from: &Path, to: &Path) -> anyhow::Result<()> {
    match fs::copy(from, to) {
        Ok(_) => sync(to),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot copy `{}` to `{}`", from.display(), to.display())),
    }
}
