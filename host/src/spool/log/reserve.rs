//! Space kept for a file system without any: so that what is done can be written, and segments can go.

use super::disk::{Disk, DiskFile};
use super::writer::Log;

/// Of a segment, within bounds: some small segments of bookkeeping, and a checkpoint of a small state.
const PART: u64 = 16;
const SMALLEST: u64 = 128 << 10;
const LARGEST: u64 = 2 << 20;

impl<D: Disk> Log<D> {
    /// Takes the space, when it is there and not taken. A file system that has none has none for this, either.
    pub fn keep_reserve(&mut self) {
        if self.keeps_reserve {
            return;
        }
        let (path, disk) = (self.folder.reserve(), &self.folder.disk);
        let wanted = (self.options.room() / PART).clamp(SMALLEST, LARGEST);
        let is_there = disk.open(&path).and_then(|file| file.size()).is_ok_and(|size| size >= wanted);
        let has_room = || disk.free_bytes(self.folder.dir()).is_ok_and(|free| free >= self.options.free_floor + wanted);
        self.keeps_reserve =
            is_there || (has_room() && disk.create(&path).and_then(|file| file.allocate(wanted)).is_ok());
    }

    /// Gives it back. Whether there was some.
    pub fn release_reserve(&mut self) -> bool {
        self.keeps_reserve = false;
        self.folder.disk.unlink(&self.folder.reserve()).is_ok()
    }
}
