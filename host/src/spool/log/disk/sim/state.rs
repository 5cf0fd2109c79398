//! What is in the cache, what is durable, and what a power cut makes of the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::Fault;

const SECTOR: usize = 512;

#[derive(Default)]
pub struct State {
    pub names: BTreeMap<PathBuf, usize>,
    pub durable_names: BTreeMap<PathBuf, usize>,
    pub pending_names: Vec<NameChange>,
    pub inodes: Vec<Inode>,
    pub locks: BTreeSet<PathBuf>,
    pub calls: u64,
    pub syncs: u64,
    /// Bytes that were ever written, allocation aside.
    pub written: u64,
    pub fault: Option<(u64, Fault)>,
    pub crashed: bool,
    /// None: without end.
    pub capacity: Option<u64>,
}

#[derive(Clone)]
pub enum NameChange {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, usize),
}

#[derive(Default)]
pub struct Inode {
    pub cached: Vec<u8>,
    pub durable: Vec<u8>,
    pub pending: Vec<Change>,
    /// What a failed sync forgot.
    pub dropped: Vec<Change>,
}

#[derive(Clone)]
pub enum Change {
    Write(u64, Vec<u8>),
    Resize(u64),
}

/// xorshift: the same seed, the same crash.
pub struct Coin(pub u64);

// === impl State ===

impl State {
    pub fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub fn change(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.pending_names.push(change);
    }

    pub fn used(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[*inode].cached.len() as u64).sum()
    }

    pub fn free(&self) -> u64 {
        self.capacity.unwrap_or(u64::MAX / 2).saturating_sub(self.used())
    }
}

// === impl NameChange ===

impl NameChange {
    pub fn apply(self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Link(path, inode) => drop(names.insert(path, inode)),
            Self::Unlink(path) => drop(names.remove(&path)),
            Self::Rename(from, to, inode) => {
                names.remove(&from);
                names.insert(to, inode);
            }
        }
    }

    pub fn is_in(&self, dir: &Path) -> bool {
        let (Self::Link(path, _) | Self::Unlink(path) | Self::Rename(path, ..)) = self;
        path.parent() == Some(dir)
    }
}

// === impl Inode ===

impl Inode {
    pub fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.cached);
        self.pending.push(change);
    }
}

// === impl Change ===

impl Change {
    pub fn apply(self, file: &mut Vec<u8>) {
        match self {
            Self::Resize(len) => file.resize(len as usize, 0),
            Self::Write(offset, bytes) => write(file, offset as usize, &bytes),
        }
    }

    pub fn tear(self, file: &mut Vec<u8>, coin: &mut Coin) {
        match self {
            Self::Resize(len) => {
                if coin.toss() {
                    file.resize(len as usize, 0);
                }
            }
            Self::Write(offset, bytes) => {
                let mut at = offset as usize;
                let end = at + bytes.len();
                while at < end {
                    let next = (at / SECTOR + 1) * SECTOR;
                    let piece = &bytes[at - offset as usize..next.min(end) - offset as usize];
                    if coin.toss() {
                        write(file, at, piece);
                    }
                    at = next;
                }
            }
        }
    }
}

fn write(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    file.resize(file.len().max(end), 0);
    file[offset..end].copy_from_slice(bytes);
}

// === impl Coin ===

impl Coin {
    pub fn toss(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 33 & 1 == 1
    }
}
