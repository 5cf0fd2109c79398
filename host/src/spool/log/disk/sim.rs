//! A file system that keeps only what was synced, and fails when it is told to.
//!
//! - A write is in the page cache until `sync_data`. A power cut keeps any of its 512-byte sectors, in any combination.
//! - A created, renamed or unlinked name is in memory until `sync_dir`. A power cut keeps any subset of them.
//! - A sync that fails drops what it should have written: the next one succeeds, and the bytes are in the cache only.
//! - The n-th call from now on can fail with EIO or ENOSPC, or be the moment of the crash: from there on nothing works
//!   until [`SimDisk::kill`] (the process died) or [`SimDisk::power_cut`] (the machine did).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, DiskFile, LockError};

const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

pub struct SimFile {
    disk: SimDisk,
    inode: usize,
}

pub struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Eio,
    Enospc,
    Crash,
}

#[derive(Default)]
struct State {
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<NameChange>,
    inodes: Vec<Inode>,
    locks: BTreeSet<PathBuf>,
    calls: u64,
    syncs: u64,
    fault: Option<(u64, Fault)>,
    crashed: bool,
    /// None: without end.
    capacity: Option<u64>,
}

#[derive(Clone)]
enum NameChange {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, usize),
}

#[derive(Default)]
struct Inode {
    cached: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// What a failed sync forgot.
    dropped: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Resize(u64),
}

/// xorshift: the same seed, the same crash.
struct Coin(u64);

// === impl SimDisk ===

impl SimDisk {
    pub fn fail_at(&self, calls_from_now: u64, fault: Fault) {
        let mut state = self.state();
        state.fault = Some((state.calls + calls_from_now, fault));
    }

    pub fn no_fault(&self) {
        self.state().fault = None;
    }

    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// The process dies; the kernel lives, with all that is in its cache.
    pub fn kill(&self) {
        let mut state = self.state();
        (state.crashed, state.fault) = (false, None);
        state.locks.clear();
    }

    pub fn power_cut(&self, seed: u64) {
        self.kill();
        let mut coin = Coin(seed | 1);
        let state = &mut *self.state();
        for change in std::mem::take(&mut state.pending_names) {
            if coin.toss() {
                change.apply(&mut state.durable_names);
            }
        }
        state.names = state.durable_names.clone();
        for inode in &mut state.inodes {
            for change in std::mem::take(&mut inode.dropped).into_iter().chain(std::mem::take(&mut inode.pending)) {
                change.tear(&mut inode.durable, &mut coin);
            }
            inode.cached = inode.durable.clone();
        }
    }

    /// Bytes of a file, for a test that damages them behind everybody's back.
    pub fn edit(&self, path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let inode = state.names[path];
        let inode = &mut state.inodes[inode];
        edit(&mut inode.cached);
        inode.durable = inode.cached.clone();
        inode.pending.clear();
    }

    pub fn files(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// One call into the file system.
    fn call(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        if state.crashed {
            return Err(io::Error::other("the machine is off"));
        }
        state.calls += 1;
        match state.fault {
            Some((at, fault)) if at == state.calls => {
                state.fault = None;
                state.crashed = fault == Fault::Crash;
                Err(fault.error())
            }
            _ => Ok(state),
        }
    }
}

impl Disk for SimDisk {
    type File = SimFile;
    type Lock = SimLock;

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        self.call().map(drop)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.call()?;
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_string())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<SimFile> {
        let mut state = self.call()?;
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        state.change(NameChange::Link(path.into(), inode));
        Ok(SimFile { disk: self.clone(), inode })
    }

    fn open(&self, path: &Path) -> io::Result<SimFile> {
        let inode = self.call()?.find(path)?;
        Ok(SimFile { disk: self.clone(), inode })
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let mut state = self.call()?;
        let inode = state.find(path)?;
        state.inodes[inode].change(Change::Resize(len));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        let inode = state.find(from)?;
        state.change(NameChange::Rename(from.into(), to.into(), inode));
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = self.call()?;
        state.find(path)?;
        state.change(NameChange::Unlink(path.into()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let state = &mut *self.call()?;
        let (now, later) = std::mem::take(&mut state.pending_names).into_iter().partition(|c| c.is_in(dir));
        state.pending_names = later;
        Vec::into_iter(now).for_each(|change: NameChange| change.apply(&mut state.durable_names));
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        Ok(self.call()?.free())
    }

    fn lock(&self, path: &Path) -> Result<SimLock, LockError> {
        let mut state = self.call().map_err(LockError::Io)?;
        if !state.locks.insert(path.into()) {
            return Err(LockError::Held(Some(std::process::id())));
        }
        Ok(SimLock { disk: self.clone(), path: path.into() })
    }

    fn random(&self) -> io::Result<u128> {
        Ok(u128::from(self.call()?.calls) << 64 | 0x5eed)
    }
}

// === impl SimFile ===

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.call()?.inodes[self.inode].cached.len() as u64)
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.call()?;
        let bytes = state.inodes[self.inode].cached.get(offset as usize..).unwrap_or_default();
        // Short reads are allowed, so that they happen.
        let len = into.len().min(bytes.len()).min(10_000);
        into[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.disk.call()?.inodes[self.inode].change(Change::Write(offset, bytes.to_vec()));
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.call()?;
        if state.free() < len {
            return Err(Fault::Enospc.error());
        }
        state.inodes[self.inode].change(Change::Resize(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.disk.call() {
            Ok(mut state) => {
                state.syncs += 1;
                let inode = &mut state.inodes[self.inode];
                for change in std::mem::take(&mut inode.pending) {
                    change.apply(&mut inode.durable);
                }
                Ok(())
            }
            Err(error) => {
                let mut state = self.disk.state();
                if !state.crashed {
                    let inode = &mut state.inodes[self.inode];
                    inode.dropped.append(&mut inode.pending);
                }
                Err(error)
            }
        }
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn forget_cache(&self) -> io::Result<()> {
        let mut state = self.disk.call()?;
        let inode = &mut state.inodes[self.inode];
        if inode.pending.is_empty() {
            inode.dropped.clear();
            inode.cached = inode.durable.clone();
        }
        Ok(())
    }
}

// === impl SimLock ===

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.path);
    }
}

// === impl State ===

impl State {
    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.pending_names.push(change);
    }

    fn free(&self) -> u64 {
        let used: u64 = self.names.values().map(|inode| self.inodes[*inode].cached.len() as u64).sum();
        self.capacity.unwrap_or(u64::MAX / 2).saturating_sub(used)
    }
}

// === impl NameChange ===

impl NameChange {
    fn apply(self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Link(path, inode) => drop(names.insert(path, inode)),
            Self::Unlink(path) => drop(names.remove(&path)),
            Self::Rename(from, to, inode) => {
                names.remove(&from);
                names.insert(to, inode);
            }
        }
    }

    fn is_in(&self, dir: &Path) -> bool {
        let (Self::Link(path, _) | Self::Unlink(path) | Self::Rename(path, ..)) = self;
        path.parent() == Some(dir)
    }
}

// === impl Inode ===

impl Inode {
    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.cached);
        self.pending.push(change);
    }
}

// === impl Change ===

impl Change {
    fn apply(self, file: &mut Vec<u8>) {
        match self {
            Self::Resize(len) => file.resize(len as usize, 0),
            Self::Write(offset, bytes) => write(file, offset as usize, &bytes),
        }
    }

    fn tear(self, file: &mut Vec<u8>, coin: &mut Coin) {
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

// === impl Fault ===

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Eio => io::Error::from_raw_os_error(5),
            Self::Enospc => io::ErrorKind::StorageFull.into(),
            Self::Crash => io::Error::other("the machine is off"),
        }
    }
}

// === impl Coin ===

impl Coin {
    fn toss(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 33 & 1 == 1
    }
}
