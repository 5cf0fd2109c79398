//! A handle: it stays with its bytes through a rename and an unlink.

use std::io;

use super::state::Change;
use super::{DiskFile, Fault, SimFile};

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
        let mut state = self.disk.call()?;
        state.written += bytes.len() as u64;
        state.inodes[self.inode].change(Change::Write(offset, bytes.to_vec()));
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
