//! A file system that keeps only what was synced, and fails when it is told to.
//!
//! - A write is in the page cache until `sync_data`. A power cut keeps any of its 512-byte sectors, in any combination.
//! - A created, renamed or unlinked name is in memory until `sync_dir`. A power cut keeps any subset of them.
//! - A sync that fails drops what it should have written: the next one succeeds, and the bytes are in the cache only.
//! - The n-th call from now on can fail with EIO or ENOSPC, or be the moment of the crash: from there on nothing works
//!   until [`SimDisk::kill`] (the process died) or [`SimDisk::power_cut`] (the machine did).

mod file;
mod state;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use self::state::{Change, Coin, Inode, NameChange, State};
use super::{Disk, DiskFile, LockError};

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

    /// Nothing is free any more.
    pub fn fill(&self) {
        let mut state = self.state();
        state.capacity = Some(state.used());
    }

    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Bytes that were ever written, allocation aside.
    pub fn written(&self) -> u64 {
        self.state().written
    }

    /// The process dies; the kernel lives, with all that is in its cache.
    pub fn kill(&self) {
        let mut state = self.state();
        (state.crashed, state.fault) = (false, None);
        state.locks.clear();
    }

    pub fn power_cut(&self, seed: u64) {
        self.kill();
        // Small seeds are what tests count through: spread them, or their first tosses are all the same.
        let mut coin = Coin(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
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

// === impl SimLock ===

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.path);
    }
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
