//! What can go wrong: no room (wait), too large (the caller's), or the end of this log.

use std::io;
use std::path::{Path, PathBuf};

use super::format::FORMATS;

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the spool `{}` is in use by {}: stop that, or give this gateway another `data_dir`", dir.display(), holder(*pid))]
    InUse { dir: PathBuf, pid: Option<u32> },
    #[error(
        "`{}` is of spool format {found}, and this tidegate reads formats {} to {}: start the tidegate that wrote it, or \
         let that one drain the spool first",
        file.display(), FORMATS.start(), FORMATS.end()
    )]
    Version { file: PathBuf, found: u32 },
    #[error("cannot open the spool: `{}`: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Foreseen, and nothing was written: try again when something was removed.
    #[error("the spool is full: {0}")]
    Full(Shortage),
    /// The group does not fit into the active segment (or there is none, after `open`).
    #[error("the active segment has no room for this: roll first")]
    MustRoll,
    /// Never going to fit.
    #[error("{bytes} bytes are too much for one append, the limit is {max}: raise `max_bytes`")]
    TooLarge { bytes: u64, max: u64 },
    /// Never use this log again: the process ends, and recovers from the disk at its next start.
    #[error("the spool cannot be written: {0}")]
    Fatal(#[source] io::Error),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    #[error("another {wanted} bytes would pass its limit of {limit}, and {used} are used")]
    Limit { used: u64, wanted: u64, limit: u64 },
    #[error("the file system has {free} bytes free, and {floor} are to stay free")]
    Floor { free: u64, floor: u64 },
    #[error("the file system has no space left")]
    Disk,
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

// === impl OpenError ===

impl OpenError {
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        |source| Self::Io { path, source }
    }
}
