//! The folder of a log: its names, its lock, and how a file comes to stand in it.

use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint::Checkpoint;
use super::disk::{Disk, DiskFile, LockError};
use super::error::OpenError;
use crate::base::kill_point::{self, KillPoint};

pub const IDENTITY: &str = "identity";
const LOCK: &str = "lock";
const RESERVE: &str = "reserve";
const QUARANTINE: &str = "quarantine";
const UNFINISHED: &str = ".new";
const CHECKPOINT: (&str, &str) = ("checkpoint-", ".state");

#[derive(Clone)]
pub struct Folder<D> {
    pub disk: D,
    dir: PathBuf,
}

/// A file that is whole and synced, and has not got its name yet.
pub struct Unpublished<F> {
    pub file: F,
    from: PathBuf,
    to: PathBuf,
}

fn segment_name(segment: u64) -> String {
    format!("segment-{segment:020}.log")
}

fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix("segment-")?.strip_suffix(".log")?.parse().ok()?;
    // Only the spelling that we would write: `segment-1.log` beside `segment-0…01.log` would be the same segment twice.
    (segment_name(number) == name && number > 0).then_some(number)
}

fn checkpoint_name(number: u64) -> String {
    let (prefix, suffix) = CHECKPOINT;
    format!("{prefix}{number:020}{suffix}")
}

fn checkpoint_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix(CHECKPOINT.0)?.strip_suffix(CHECKPOINT.1)?.parse().ok()?;
    (checkpoint_name(number) == name).then_some(number)
}

// === impl Folder ===

impl<D: Disk> Folder<D> {
    /// Creates, locks, and clears away what a crash left unfinished.
    pub fn open(disk: D, dir: &Path) -> Result<(Self, D::Lock), OpenError> {
        let folder = Self { disk, dir: dir.to_path_buf() };
        let quarantine = dir.join(QUARANTINE);
        folder.disk.create_dir(&quarantine).map_err(OpenError::at(&quarantine))?;
        let lock = folder.disk.lock(&dir.join(LOCK)).map_err(|error| match error {
            LockError::Held(pid) => OpenError::InUse { dir: dir.to_path_buf(), pid },
            LockError::Io(source) => OpenError::Io { path: dir.join(LOCK), source },
        })?;
        folder.settle().map_err(OpenError::at(dir))?;
        Ok((folder, lock))
    }

    /// For somebody who only looks: not made, not locked, nothing cleared away.
    pub fn at(disk: D, dir: &Path) -> Self {
        Self { disk, dir: dir.to_path_buf() }
    }

    /// The folder as it is now survives a power cut: what follows will be built on it.
    fn settle(&self) -> io::Result<()> {
        for dir in [&self.dir, &self.dir.join(QUARANTINE)] {
            for name in self.disk.names(dir)?.iter().filter(|name| name.ends_with(UNFINISHED)) {
                self.disk.unlink(&dir.join(name))?;
            }
        }
        self.disk.sync_dir(&self.dir)?;
        match self.dir.parent() {
            Some(parent) if parent != Path::new("") => self.disk.sync_dir(parent),
            _ => Ok(()),
        }
    }

    /// In order.
    pub fn segments(&self) -> Result<Vec<u64>, OpenError> {
        let names = self.disk.names(&self.dir).map_err(OpenError::at(&self.dir))?;
        let mut segments: Vec<_> = names.iter().filter_map(|name| segment_number(name)).collect();
        segments.sort_unstable();
        Ok(segments)
    }

    /// In order.
    pub fn checkpoints(&self) -> Result<Vec<u64>, OpenError> {
        let names = match self.disk.names(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            names => names.map_err(OpenError::at(&self.dir))?,
        };
        let mut numbers: Vec<_> = names.iter().filter_map(|name| checkpoint_number(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    pub fn checkpoint(&self, number: u64) -> PathBuf {
        self.dir.join(checkpoint_name(number))
    }

    /// Space that is taken so that it can be given back.
    pub fn reserve(&self) -> PathBuf {
        self.dir.join(RESERVE)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn identity(&self) -> PathBuf {
        self.dir.join(IDENTITY)
    }

    pub fn segment(&self, segment: u64) -> PathBuf {
        self.dir.join(segment_name(segment))
    }

    pub fn quarantine(&self) -> PathBuf {
        self.dir.join(QUARANTINE)
    }

    pub fn quarantined(&self, segment: u64, offset: u64) -> PathBuf {
        self.dir.join(QUARANTINE).join(format!("segment-{segment}-{offset}.bin"))
    }

    /// The first half of a new file: write and sync. A failure leaves nothing that counts.
    pub fn prepare(
        &self,
        to: PathBuf,
        write: impl FnOnce(&D::File) -> io::Result<()>,
    ) -> io::Result<Unpublished<D::File>> {
        let new = self.create_new(to)?;
        match write(&new.file).and_then(|()| new.file.sync_all()) {
            Ok(()) => Ok(new),
            Err(error) => {
                // It may hold the space that is missing. A failure costs nothing more: the next open clears it away.
                let _ = self.discard(new);
                Err(error)
            }
        }
    }

    /// A file that has not got its name yet, empty.
    pub fn create_new(&self, to: PathBuf) -> io::Result<Unpublished<D::File>> {
        let mut from = to.clone().into_os_string();
        from.push(UNFINISHED);
        let from = PathBuf::from(from);
        let file = self.disk.create(&from).inspect_err(|_| {
            let _ = self.disk.unlink(&from);
        })?;
        Ok(Unpublished { file, from, to })
    }

    /// It never gets its name.
    pub fn discard(&self, new: Unpublished<D::File>) -> io::Result<()> {
        self.disk.unlink(&new.from)
    }

    /// The second half: rename and sync the folder. After a failure nobody knows whether the file is there.
    pub fn publish(&self, new: Unpublished<D::File>) -> io::Result<D::File> {
        self.publish_with(new, KillPoint::SegmentNamed)
    }

    pub fn publish_checkpoint(&self, new: Unpublished<D::File>) -> io::Result<D::File> {
        self.publish_with(new, KillPoint::CheckpointNamed)
    }

    fn publish_with(&self, new: Unpublished<D::File>, named: KillPoint) -> io::Result<D::File> {
        self.disk.rename(&new.from, &new.to)?;
        kill_point::reach(named);
        self.disk.sync_dir(new.to.parent().unwrap_or(&self.dir))?;
        Ok(new.file)
    }

    /// Gone when this returns; one that is damaged is put aside.
    pub fn retire_checkpoint(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let path = self.checkpoint(checkpoint.number);
        let retired = if checkpoint.is_whole {
            self.disk.unlink(&path)
        } else {
            let to = self.quarantine().join(checkpoint_name(checkpoint.number));
            self.disk.rename(&path, &to).and_then(|()| self.disk.sync_dir(&self.quarantine()))
        };
        match retired {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.disk.sync_dir(&self.dir),
        }
    }

    pub fn unlink_segment(&self, segment: u64) -> io::Result<()> {
        match self.disk.unlink(&self.segment(segment)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                kill_point::reach(KillPoint::SegmentUnlinked);
                self.disk.sync_dir(&self.dir)
            }
        }
    }
}
