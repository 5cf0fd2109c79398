//! The file system as an argument: the real one, or one that fails on demand.

pub mod os;
#[cfg(test)]
pub mod sim;

use std::io;
use std::path::Path;

/// What the log needs of a file system. Paths are whole; a handle outlives a rename and an unlink of its file.
pub trait Disk: Clone + Send + Sync + 'static {
    type File: DiskFile;
    /// Held until dropped.
    type Lock: Send + 'static;

    /// With its parents, for this user only (0700). One that exists is fine.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Names of the files and folders in it.
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// For reading and writing, for this user only (0600), empty.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// For reading.
    fn open(&self, path: &Path) -> io::Result<Self::File>;
    fn truncate(&self, path: &Path, len: u64) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Makes what was created, renamed and unlinked in it durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// What this user may still write, in bytes.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Against every other process, and against this one.
    fn lock(&self, path: &Path) -> Result<Self::Lock, LockError>;
    /// For the id of a new spool.
    fn random(&self) -> io::Result<u128>;
}

pub trait DiskFile: Send + 'static {
    fn size(&self) -> io::Result<u64>;
    /// Zero at the end, and only there.
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize>;
    /// All of it, or an error and an unknown part.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Takes the space now; what was not written reads as zero.
    fn allocate(&self, len: u64) -> io::Result<()>;
    /// The bytes, and what is needed to read them (`fdatasync`).
    fn sync_data(&self) -> io::Result<()>;
    /// Everything (`fsync`).
    fn sync_all(&self) -> io::Result<()>;
    /// Reads come from the medium from now on. A wish: what is not synced stays.
    fn forget_cache(&self) -> io::Result<()>;
}

#[derive(Debug)]
pub enum LockError {
    /// With the process that holds it, when it has said so.
    Held(Option<u32>),
    Io(io::Error),
}
