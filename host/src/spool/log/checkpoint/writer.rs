//! Writes one checkpoint. It owns its file and shares nothing with the log, so that it may wait for the disk on another thread.

use std::io;
use std::path::PathBuf;

use super::super::disk::{Disk, DiskFile};
use super::super::folder::{Folder, Unpublished};
use super::super::format::{Frame, HEADER_BYTES, Header, Location, Salt};
use super::{Checkpoint, END};
use crate::base::kill_point::{self, KillPoint};

/// Synced so often: a disk that is given all of a large state at once keeps everybody else waiting.
const SYNC_EVERY: u64 = 4 << 20;

/// An unfinished checkpoint. Dropped, it leaves a file that the next one or the next start clears away.
pub struct CheckpointWriter<D: Disk> {
    folder: Folder<D>,
    new: Unpublished<D::File>,
    salt: Salt,
    number: u64,
    place: Location,
    frames: u64,
    end: u64,
    synced: u64,
    buffer: Vec<u8>,
}

// === impl CheckpointWriter ===

impl<D: Disk> CheckpointWriter<D> {
    pub(in super::super) fn begin(folder: Folder<D>, id: u128, number: u64, place: Location) -> io::Result<Self> {
        let to: PathBuf = folder.checkpoint(number);
        let header =
            Header { id, segment: place.segment, capacity: place.offset, previous_end: number, previous_synced: 0 };
        let new = folder.create_new(to)?;
        new.file.write_at(&header.encode(), 0)?;
        let end = HEADER_BYTES;
        let salt = Salt::new(id, !number);
        Ok(Self { folder, new, salt, number, place, frames: 0, end, synced: 0, buffer: Vec::new() })
    }

    pub fn write(&mut self, frame: Frame<'_>) -> io::Result<()> {
        self.put(frame)?;
        self.frames += 1;
        kill_point::reach(KillPoint::CheckpointBegun);
        if self.end - self.synced >= SYNC_EVERY {
            self.new.file.sync_data()?;
            self.synced = self.end;
        }
        Ok(())
    }

    /// From here on it holds.
    pub fn finish(mut self) -> io::Result<Checkpoint> {
        let frames = self.frames.to_le_bytes();
        self.put(Frame { kind: END, body: &frames })?;
        self.new.file.sync_all()?;
        kill_point::reach(KillPoint::CheckpointSynced);
        self.folder.publish_checkpoint(self.new)?;
        kill_point::reach(KillPoint::CheckpointDurable);
        Ok(Checkpoint { number: self.number, place: self.place, bytes: self.end, is_whole: true })
    }

    /// Gives the space back.
    pub fn abandon(self) {
        // The next start clears it away if this fails.
        let _ = self.folder.discard(self.new);
    }

    fn put(&mut self, frame: Frame<'_>) -> io::Result<()> {
        self.buffer.clear();
        self.salt.encode(&mut self.buffer, self.end, 0, frame);
        self.new.file.write_at(&self.buffer, self.end)?;
        self.end += self.buffer.len() as u64;
        Ok(())
    }
}
