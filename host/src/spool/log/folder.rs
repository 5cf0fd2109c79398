//! The folder of a log: its names, its lock, and how a file comes to stand in it.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{Disk, DiskFile, LockError};
use super::error::OpenError;
use crate::base::kill_point::{self, KillPoint};

pub const IDENTITY: &str = "identity";
const LOCK: &str = "lock";
const QUARANTINE: &str = "quarantine";
const UNFINISHED: &str = ".new";

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
        let mut from = to.clone().into_os_string();
        from.push(UNFINISHED);
        let from = PathBuf::from(from);
        let written = self.disk.create(&from).and_then(|file| {
            write(&file)?;
            file.sync_all()?;
            Ok(file)
        });
        match written {
            Ok(file) => Ok(Unpublished { file, from, to }),
            Err(error) => {
                // It may hold the space that is missing. A failure costs nothing more: the next open clears it away.
                let _ = self.disk.unlink(&from);
                Err(error)
            }
        }
    }

    /// The second half: rename and sync the folder. After a failure nobody knows whether the file is there.
    pub fn publish(&self, new: Unpublished<D::File>) -> io::Result<D::File> {
        self.disk.rename(&new.from, &new.to)?;
        kill_point::reach(KillPoint::SegmentNamed);
        self.disk.sync_dir(new.to.parent().unwrap_or(&self.dir))?;
        Ok(new.file)
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
