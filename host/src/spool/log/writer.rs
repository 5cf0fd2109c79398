//! The writing side: the one owner of a log. How it goes on to another segment is in `roll`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::checkpoint::{Checkpoint, CheckpointWriter};
use super::disk::{Disk, DiskFile};
use super::error::{AppendError, OpenError};
use super::extents::Extents;
use super::folder::Folder;
use super::format::{Frame, Location, Salt};
use super::options::Options;
use super::reader::Reader;
use super::recovery::{Recovered, Recovery, recover};
use crate::base::fault::{self, Fault};
use crate::base::kill_point::{self, KillPoint};
use crate::config::Sync;
use crate::metrics::SpoolMetrics;

/// What the encoding buffer may keep between two appends.
const KEEP_BYTES: usize = 1 << 20;

/// An open log. Blocking: it belongs to a thread, not to a task.
pub struct Log<D: Disk> {
    pub(super) folder: Folder<D>,
    pub(super) options: Options,
    pub(super) id: u128,
    /// None until the first roll.
    pub(super) active: Option<Active<D::File>>,
    /// End and durable part of the last segment that recovery found, for the header of the next one.
    pub(super) recovered: (u64, u64),
    /// Segment to the length of its file.
    pub(super) sizes: BTreeMap<u64, u64>,
    /// Those that are whole, newest first; then those that are not.
    pub(super) checkpoints: Vec<Checkpoint>,
    /// Of all segments together, those bytes that do not count: see [`Log::spare`].
    spared: u64,
    pub(super) keeps_reserve: bool,
    pub(super) extents: Arc<Extents>,
    /// Its own, until somebody who shows them takes it over.
    metrics: Arc<SpoolMetrics>,
    buffer: Vec<u8>,
    /// Why nothing may be written any more.
    poisoned: Option<String>,
    _lock: D::Lock,
}

pub(super) struct Active<F> {
    pub file: F,
    pub segment: u64,
    pub salt: Salt,
    pub capacity: u64,
    pub end: u64,
    pub synced: u64,
}

// === impl Log ===

impl<D: Disk> Log<D> {
    /// Locks the folder, creates what is missing, and shows every intact frame of every segment to `visit`, in order.
    ///
    /// What was shown is durable. The log that is returned can be read and wants a [`Log::roll`] before it is written.
    pub fn open(
        disk: D,
        dir: &Path,
        options: Options,
        visit: &mut dyn FnMut(Location, Frame<'_>),
    ) -> Result<(Self, Recovery), OpenError> {
        let (folder, lock) = Folder::open(disk, dir)?;
        let (Recovered { id, sizes, extents, last, checkpoints }, recovery) = recover(&folder, visit)?;
        let mut log = Self {
            folder,
            options,
            id,
            active: None,
            recovered: last,
            spared: 0,
            keeps_reserve: false,
            sizes,
            checkpoints,
            extents: Arc::new(extents),
            metrics: Arc::default(),
            buffer: Vec::new(),
            poisoned: None,
            _lock: lock,
        };
        log.sort_checkpoints();
        Ok((log, recovery))
    }

    /// One write and, by [`Sync`], one `fdatasync`: `Ok` means that all of them are as safe as that level promises. The
    /// group must fit into the active segment ([`Log::must_roll`]).
    pub fn append(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Location>, AppendError> {
        self.check_poison()?;
        let bytes = frames.iter().map(Frame::framed).sum();
        let max = self.max_append();
        let active = self.active.as_mut().filter(|active| active.capacity - active.end >= bytes);
        // What a segment was made for ([`Log::roll_reserved`]) may be larger than others have room for.
        let none = if bytes > max { AppendError::TooLarge { bytes, max } } else { AppendError::MustRoll };
        let active = active.ok_or(none)?;
        let locations = active.encode(&mut self.buffer, frames);
        kill_point::reach(KillPoint::BeforeAppend);
        kill_point::reach_after(KillPoint::MidAppend, || active.write_half(&self.buffer));
        let written = active.file.write_at(&self.buffer, active.end);
        active.end += bytes;
        self.metrics.free.set(active.capacity.saturating_sub(active.end));
        self.buffer.clear();
        self.buffer.shrink_to(KEEP_BYTES);
        self.fatal(written)?;
        kill_point::reach(KillPoint::Appended);
        match self.options.sync {
            Sync::Group => self.sync_now()?,
            Sync::Interval(_) => {}
            Sync::Os => self.show(|active| active.end),
        }
        Ok(locations)
    }

    /// True when the active segment has no room for `bytes` more ([`Frame::framed`], summed), and always after `open`.
    pub fn must_roll(&self, bytes: usize) -> bool {
        self.active.as_ref().is_none_or(|active| active.capacity - active.end < bytes as u64)
    }

    /// The largest group that [`Log::append`] takes. A fresh segment has room for one such, whatever its snapshot.
    pub fn max_append(&self) -> u64 {
        self.options.room()
    }

    /// Makes durable what was appended and lets readers see it. For [`Sync::Interval`]; a poor man's [`Sync::Group`] else.
    pub fn sync_now(&mut self) -> Result<(), AppendError> {
        self.check_poison()?;
        let Some(active) = self.active.as_mut().filter(|active| active.synced < active.end) else { return Ok(()) };
        let synced =
            if fault::is_on(Fault::SyncOmitted) { Ok(()) } else { self.metrics.sync(|| active.file.sync_data()) };
        self.fatal(synced)?;
        self.show(|active| {
            active.synced = active.end;
            active.end
        });
        Ok(())
    }

    fn show(&mut self, end: impl FnOnce(&mut Active<D::File>) -> u64) {
        if let Some(active) = self.active.as_mut() {
            let end = end(active);
            self.extents.set(active.segment, end);
        }
    }

    /// Deletes the segments below this one, but never the last. After an error, call it again.
    pub fn remove_below(&mut self, segment: u64) -> io::Result<()> {
        let segment = segment.min(self.active_segment());
        while let Some(first) = self.sizes.keys().next().copied().filter(|first| *first < segment) {
            self.extents.remove(first);
            self.folder.unlink_segment(first)?;
            self.sizes.remove(&first);
        }
        self.measure();
        Ok(())
    }

    /// From now on these are its metrics.
    pub fn measure_in(&mut self, metrics: Arc<SpoolMetrics>) {
        self.metrics = metrics;
        self.measure();
    }

    /// After a segment has come or gone: not for each write.
    pub(super) fn measure(&self) {
        self.metrics.disk.set(self.bytes());
        let free = self.active.as_ref().map_or(0, |active| active.capacity.saturating_sub(active.end));
        self.metrics.free.set(free);
    }

    /// Of all segments together, as preallocated.
    pub fn bytes(&self) -> u64 {
        self.sizes.values().sum()
    }

    /// The same as they count: without what is spared, and the last one as long as its frames, because the next one trims it.
    pub fn used(&self) -> u64 {
        let last = self.sizes.last_key_value().map_or(0, |(_, size)| *size);
        self.bytes().saturating_sub(last.saturating_sub(self.end().offset)).saturating_sub(self.spared)
    }

    /// So many bytes have a budget of their own, and do not count.
    pub fn spare(&mut self, bytes: u64) {
        self.spared = bytes;
        self.metrics.spared.set(bytes);
    }

    pub fn spared(&self) -> u64 {
        self.spared
    }

    /// The last segment; 0 when there is none yet.
    pub fn active_segment(&self) -> u64 {
        self.sizes.keys().next_back().copied().unwrap_or(0)
    }

    /// Where the next frame goes, or the end of what there is.
    pub fn end(&self) -> Location {
        let of_active = |active: &Active<D::File>| Location { segment: active.segment, offset: active.end };
        let recovered = Location { segment: self.active_segment(), offset: self.recovered.0 };
        self.active.as_ref().map_or(recovered, of_active)
    }

    /// Of the segments from this one up to another.
    pub fn bytes_in(&self, segments: std::ops::Range<u64>) -> u64 {
        if segments.is_empty() { 0 } else { self.sizes.range(segments).map(|(_, size)| size).sum() }
    }

    /// The oldest segment that is left; 0 when there is none yet.
    pub fn first_segment(&self) -> u64 {
        self.sizes.keys().next().copied().unwrap_or(0)
    }

    /// Reads the frame at `from` and what follows it, also what is still going to be written.
    pub fn reader(&self, from: Location) -> Reader<D> {
        Reader::new(self.folder.clone(), self.id, self.extents.clone(), from)
    }

    /// A checkpoint that will stand for all frames below `place`. What of an older one is not needed any more makes room first.
    pub fn begin_checkpoint(&mut self, place: Location) -> io::Result<CheckpointWriter<D>> {
        let number = self.checkpoints.iter().map(|one| one.number).max().unwrap_or(0).saturating_add(1);
        self.retire_checkpoints(1)?;
        CheckpointWriter::begin(self.folder.clone(), self.id, number, place)
    }

    /// It holds from now on, and the one before stays beside it.
    pub fn adopt(&mut self, checkpoint: Checkpoint) -> io::Result<()> {
        self.checkpoints.insert(0, checkpoint);
        self.sort_checkpoints();
        let whole = self.checkpoints().count();
        self.retire_checkpoints(whole.min(2))?;
        kill_point::reach(KillPoint::CheckpointRetired);
        Ok(())
    }

    /// The checkpoints that hold, newest first.
    pub fn checkpoints(&self) -> impl Iterator<Item = &Checkpoint> {
        self.checkpoints.iter().filter(|one| one.is_whole)
    }

    /// Bytes that a new checkpoint may take: what is free on the file system, and what it replaces; none when that cannot be said.
    pub fn checkpoint_room(&self) -> Option<u64> {
        let replaced: u64 = self.checkpoints.iter().skip(1).map(|one| one.bytes).sum();
        let free = self.folder.disk.free_bytes(self.folder.dir()).ok()?;
        Some(free.saturating_add(replaced))
    }

    fn sort_checkpoints(&mut self) {
        self.checkpoints.sort_by_key(|one| (!one.is_whole, std::cmp::Reverse(one.number)));
    }

    /// All but the first of them go.
    fn retire_checkpoints(&mut self, keep: usize) -> io::Result<()> {
        while let Some(last) = self.checkpoints.get(keep..).and_then(<[_]>::last).copied() {
            self.folder.retire_checkpoint(&last)?;
            self.checkpoints.pop();
        }
        Ok(())
    }

    pub(super) fn check_poison(&self) -> Result<(), AppendError> {
        match &self.poisoned {
            None => Ok(()),
            Some(error) => Err(AppendError::Fatal(io::Error::other(format!("an earlier write failed: {error}")))),
        }
    }

    pub(super) fn fatal<T>(&mut self, result: io::Result<T>) -> Result<T, AppendError> {
        result.map_err(|error| {
            self.poisoned = Some(error.to_string());
            AppendError::Fatal(error)
        })
    }
}

// === impl Active ===

impl<F: DiskFile> Active<F> {
    /// What a crash in the middle of a write leaves.
    fn write_half(&self, bytes: &[u8]) {
        let (half, _) = bytes.split_at(bytes.len() / 2);
        let _ = self.file.write_at(half, self.end);
    }

    fn encode(&self, buffer: &mut Vec<u8>, frames: &[Frame<'_>]) -> Vec<Location> {
        let place = |frame: &Frame<'_>| {
            let offset = self.end + buffer.len() as u64;
            self.salt.encode(buffer, offset, offset - self.synced, *frame);
            Location { segment: self.segment, offset }
        };
        frames.iter().map(place).collect()
    }
}
