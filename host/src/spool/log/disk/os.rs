//! The real file system. Linux calls that std does not have come from rustix; there is no unsafe here.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;
use std::process;

use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate, fremovexattr, statvfs};
use rustix::io::{Errno, retry_on_intr};

use super::{Disk, DiskFile, LockError};
use crate::base::kill_point;

const FOR_THIS_USER: u32 = 0o600;
/// Never set: see [`journal_is_alive`].
const NO_ATTRIBUTE: &str = "user.tidegate-none";
/// Zeros are written in such pieces where the file system cannot preallocate.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

// === impl OsDisk ===

impl Disk for OsDisk {
    type File = File;
    type Lock = File;

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        // A name that is not UTF-8 is none of ours.
        fs::read_dir(dir)?
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect()
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(FOR_THIS_USER).open(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        File::open(path)
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.set_len(len)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let dir = File::open(dir)?;
        dir.sync_all()?;
        journal_is_alive(&dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let stat = retry_on_intr(|| statvfs(dir))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// `flock`, through std: it goes with the process, however that ends, and holds against a second open in this one.
    fn lock(&self, path: &Path) -> Result<File, LockError> {
        let options = OpenOptions::new().read(true).write(true).create(true).mode(FOR_THIS_USER).clone();
        let mut file = options.open(path).map_err(LockError::Io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = (&mut file).take(20).read_to_string(&mut holder);
                return Err(LockError::Held(read.ok().and_then(|_| holder.trim().parse().ok())));
            }
            Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
        }
        let pid = format!("{}\n", process::id());
        file.set_len(0).and_then(|()| file.write_all_at(pid.as_bytes(), 0)).map_err(LockError::Io)?;
        Ok(file)
    }

    fn random(&self) -> io::Result<u128> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(u128::from_le_bytes(bytes))
    }
}

// === impl File ===

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match retry_on_intr(|| fallocate(self, FallocateFlags::empty(), 0, len)) {
            // FAT, some network file systems: slower, and the space is taken as well.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => write_zeros(self, len),
            done => Ok(done?),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        if kill_point::sync_is_a_lie() {
            return Ok(());
        }
        File::sync_data(self)?;
        journal_is_alive(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        File::sync_all(self)?;
        journal_is_alive(self)
    }

    fn forget_cache(&self) -> io::Result<()> {
        Ok(fadvise(self, 0, None, Advice::DontNeed)?)
    }
}

/// Whether a sync that said "done" can be believed. While an error ends the journal of ext4, `fdatasync` may return 0 for blocks that
/// read as zeros after the next mount (Linux 6.18: seen at 4 of 25 aborts). Whatever needs the journal is refused from that moment on: to
/// remove an attribute that is not there asks for it and changes nothing, in 3 us. `statvfs` shows nothing then.
fn journal_is_alive(file: &File) -> io::Result<()> {
    match fremovexattr(file, NO_ATTRIBUTE) {
        Err(error @ (Errno::ROFS | Errno::IO)) => Err(error.into()),
        // No such attribute, or a file system without any.
        _ => Ok(()),
    }
}

fn write_zeros(file: &File, len: u64) -> io::Result<()> {
    let mut offset = 0;
    while offset < len {
        let piece = ZEROS.len().min(usize::try_from(len - offset).unwrap_or(usize::MAX));
        file.write_all_at(&ZEROS[..piece], offset)?;
        offset += piece as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_preallocation_gets_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let file = OsDisk.create(&dir.path().join("file")).unwrap();
        write_zeros(&file, ZEROS.len() as u64 + 100).unwrap();
        assert_eq!(file.size().unwrap(), ZEROS.len() as u64 + 100);
    }
}
