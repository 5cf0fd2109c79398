//! The file of the identity: one JSON object, replaced whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Installation;
use super::place::Place;

/// It has some hundred.
const MAX_BYTES: u64 = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// 32 hex digits.
    id: String,
    /// Whether client ids that the configuration does not give carry a part of the id.
    pub in_client_ids: bool,
    pub place: Place,
}

// === impl Known ===

impl Known {
    pub fn new(id: String, in_client_ids: bool) -> Self {
        Self { id, in_client_ids, place: Place::default() }
    }

    pub fn installation(self, is_copy: bool) -> Installation {
        Installation { id: self.id, in_client_ids: self.in_client_ids, is_copy }
    }

    fn is_whole(&self) -> bool {
        self.id.len() == 32 && self.id.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// With the file's number in its file system. `InvalidData` when it makes no sense.
pub fn read(path: &Path) -> io::Result<Option<(Known, Option<u64>)>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let inode = inode(&file)?;
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    let known: Known = serde_json::from_slice(&text).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    match known.is_whole() {
        true => Ok(Some((known, inode))),
        false => Err(io::Error::new(ErrorKind::InvalidData, "`id` is not 32 hex digits")),
    }
}

/// Whole or not at all, also through a power cut: a new file, synced, in the place of the old one.
pub fn write(path: &Path, mut known: Known, here: Place) -> io::Result<Known> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    known.place = Place { inode: inode(&file)?, ..here };
    file.write_all(&serde_json::to_vec_pretty(&known)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(known)
}

/// Only where it is the file's own for as long as it lives: FAT and some file systems over others or over a network give numbers
/// anew with each mount.
fn inode(file: &File) -> io::Result<Option<u64>> {
    const LASTING: [u64; 6] = [
        0xEF53,      // ext2, ext3, ext4
        0x5846_5342, // XFS
        0x9123_683E, // Btrfs
        0xF2F5_2010, // F2FS
        0x2FC1_2FC1, // ZFS
        0x0102_1994, // tmpfs
    ];
    let kind = u64::try_from(rustix::fs::fstatfs(file)?.f_type).unwrap_or(0) & 0xFFFF_FFFF;
    let number = file.metadata()?.ino();
    Ok(LASTING.contains(&kind).then_some(number))
}
