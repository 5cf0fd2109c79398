//! The writing side: the one owner of a log.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, DiskFile};
use super::error::{AppendError, OpenError, Shortage};
use super::extents::Extents;
use super::folder::Folder;
use super::format::{Frame, HEADER_BYTES, Header, Location, MAX_BODY_BYTES, Salt, framed};
use super::options::{Options, Sync};
use super::quarantine::is_full;
use super::reader::Reader;
use super::recovery::{Recovered, Recovery, recover};

/// What the encoding buffer may keep between two appends.
const KEEP_BYTES: usize = 1 << 20;

/// An open log. Blocking: it belongs to a thread, not to a task.
pub struct Log<D: Disk> {
    folder: Folder<D>,
    options: Options,
    id: u128,
    /// None until the first roll.
    active: Option<Active<D::File>>,
    /// End and durable part of the last segment that recovery found, for the header of the next one.
    recovered: (u64, u64),
    /// Segment to the length of its file.
    sizes: BTreeMap<u64, u64>,
    extents: Arc<Extents>,
    buffer: Vec<u8>,
    /// Why nothing may be written any more.
    poisoned: Option<String>,
    _lock: D::Lock,
}

struct Active<F> {
    file: F,
    segment: u64,
    salt: Salt,
    capacity: u64,
    end: u64,
    synced: u64,
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
        let (Recovered { id, sizes, extents, last }, recovery) = recover(&folder, visit)?;
        let log = Self {
            folder,
            options,
            id,
            active: None,
            recovered: last,
            sizes,
            extents: Arc::new(extents),
            buffer: Vec::new(),
            poisoned: None,
            _lock: lock,
        };
        Ok((log, recovery))
    }

    /// One write and, by [`Sync`], one `fdatasync`: `Ok` means that all of them are as safe as that level promises. The
    /// group must fit into the active segment ([`Log::must_roll`]).
    pub fn append(&mut self, frames: &[Frame<'_>]) -> Result<Vec<Location>, AppendError> {
        self.check_poison()?;
        let bytes = Self::framed(frames)?;
        if bytes > self.max_append() {
            return Err(AppendError::TooLarge { bytes, max: self.max_append() });
        }
        let active = self.active.as_mut().filter(|active| active.capacity - active.end >= bytes);
        let active = active.ok_or(AppendError::MustRoll)?;
        self.buffer.clear();
        let locations = active.encode(&mut self.buffer, frames);
        let written = active.file.write_at(&self.buffer, active.end);
        active.end += bytes;
        self.buffer.shrink_to(KEEP_BYTES);
        self.fatal(written)?;
        match self.options.sync {
            Sync::Group => self.sync_now()?,
            Sync::Interval(_) => {}
            Sync::Os => self.show(|active| active.end),
        }
        Ok(locations)
    }

    /// True when the active segment has no room for `bytes` more (see [`Log::framed`]), and always after `open`.
    pub fn must_roll(&self, bytes: usize) -> bool {
        self.active.as_ref().is_none_or(|active| active.capacity - active.end < bytes as u64)
    }

    /// What these frames take in a segment.
    pub fn framed(frames: &[Frame<'_>]) -> Result<u64, AppendError> {
        frames.iter().try_fold(0, |sum, frame| match frame.body.len() {
            length if length > MAX_BODY_BYTES => {
                Err(AppendError::TooLarge { bytes: length as u64, max: MAX_BODY_BYTES as u64 })
            }
            length => Ok(sum + framed(length)),
        })
    }

    /// The largest group that [`Log::append`] takes. A fresh segment has room for one such, whatever its snapshot.
    pub fn max_append(&self) -> u64 {
        self.options.room()
    }

    /// Begins a segment whose first frame is `snapshot`. `Full` leaves the active segment in use.
    pub fn roll(&mut self, snapshot: Frame<'_>) -> Result<Location, AppendError> {
        let reserve = HEADER_BYTES + Self::framed(&[snapshot])? + self.options.room();
        self.roll_within(snapshot, self.options.max_bytes.saturating_sub(reserve), self.options.free_floor)
    }

    /// As [`Log::roll`], into the reserve: the last segment's worth of `max_bytes`, and below the free floor. For what
    /// lets a full log drain (who has what, what may be removed), never for a new message.
    pub fn roll_reserved(&mut self, snapshot: Frame<'_>) -> Result<Location, AppendError> {
        self.roll_within(snapshot, self.options.max_bytes, 0)
    }

    fn roll_within(&mut self, snapshot: Frame<'_>, limit: u64, floor: u64) -> Result<Location, AppendError> {
        self.check_poison()?;
        let capacity = HEADER_BYTES + Self::framed(&[snapshot])? + self.options.room();
        self.check_room(capacity, limit, floor)?;
        // What comes before the new segment is durable before it: also with the weaker levels a segment is all they lose.
        self.sync_now()?;
        let active = self.prepare_and_publish(snapshot, capacity)?;
        let location = Location { segment: active.segment, offset: HEADER_BYTES };
        self.sizes.insert(active.segment, capacity);
        self.extents.set(active.segment, active.end);
        let before = self.active.replace(active).map_or(self.recovered.0, |before| before.end);
        self.trim(location.segment - 1, before);
        Ok(location)
    }

    fn check_room(&mut self, wanted: u64, limit: u64, floor: u64) -> Result<(), AppendError> {
        let used = self.bytes();
        if used.saturating_add(wanted) > limit {
            return Err(AppendError::Full(Shortage::Limit { used, wanted, limit }));
        }
        let free = self.folder.disk.free_bytes(self.folder.dir());
        let free = self.fatal(free)?;
        if free < floor.saturating_add(wanted) {
            return Err(AppendError::Full(Shortage::Floor { free, floor }));
        }
        Ok(())
    }

    fn prepare_and_publish(&mut self, snapshot: Frame<'_>, capacity: u64) -> Result<Active<D::File>, AppendError> {
        let segment = self.active_segment().saturating_add(1);
        let (previous_end, previous_synced) =
            self.active.as_ref().map_or(self.recovered, |active| (active.end, active.synced));
        let salt = Salt::new(self.id, segment);
        let mut bytes = Header { id: self.id, segment, capacity, previous_end, previous_synced }.encode();
        salt.encode(&mut bytes, HEADER_BYTES, 0, snapshot);
        let end = bytes.len() as u64;
        let new = self.folder.prepare(self.folder.segment(segment), |file| {
            file.allocate(capacity)?;
            file.write_at(&bytes, 0)
        });
        let new = match new {
            // Nothing has its name yet, so that nothing is lost by trying again.
            Err(error) if is_full(&error) => return Err(AppendError::Full(Shortage::Disk)),
            new => self.fatal(new)?,
        };
        let file = self.folder.publish(new);
        let file = self.fatal(file)?;
        Ok(Active { file, segment, salt, capacity, end, synced: end })
    }

    /// Gives back what was preallocated and not used. The next header says where the segment ends, so that this need
    /// not survive a crash, and a failure costs space only.
    fn trim(&mut self, segment: u64, end: u64) {
        if let Some(size) = self.sizes.get_mut(&segment).filter(|size| **size > end)
            && self.folder.disk.truncate(&self.folder.segment(segment), end).is_ok()
        {
            *size = end;
        }
    }

    /// Makes durable what was appended and lets readers see it. For [`Sync::Interval`]; a poor man's [`Sync::Group`] else.
    pub fn sync_now(&mut self) -> Result<(), AppendError> {
        self.check_poison()?;
        let Some(active) = self.active.as_mut().filter(|active| active.synced < active.end) else { return Ok(()) };
        let synced = active.file.sync_data();
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
        Ok(())
    }

    /// Of all segments together, as preallocated.
    pub fn bytes(&self) -> u64 {
        self.sizes.values().sum()
    }

    /// The last segment; 0 when there is none yet.
    pub fn active_segment(&self) -> u64 {
        self.sizes.keys().next_back().copied().unwrap_or(0)
    }

    /// The oldest segment that is left; 0 when there is none yet.
    pub fn first_segment(&self) -> u64 {
        self.sizes.keys().next().copied().unwrap_or(0)
    }

    /// Reads the frame at `from` and what follows it, also what is still going to be written.
    pub fn reader(&self, from: Location) -> Reader<D> {
        Reader::new(self.folder.clone(), self.id, self.extents.clone(), from)
    }

    fn check_poison(&self) -> Result<(), AppendError> {
        match &self.poisoned {
            None => Ok(()),
            Some(error) => Err(AppendError::Fatal(io::Error::other(format!("an earlier write failed: {error}")))),
        }
    }

    fn fatal<T>(&mut self, result: io::Result<T>) -> Result<T, AppendError> {
        result.map_err(|error| {
            self.poisoned = Some(error.to_string());
            AppendError::Fatal(error)
        })
    }
}

// === impl Active ===

impl<F> Active<F> {
    fn encode(&self, buffer: &mut Vec<u8>, frames: &[Frame<'_>]) -> Vec<Location> {
        let place = |frame: &Frame<'_>| {
            let offset = self.end + buffer.len() as u64;
            self.salt.encode(buffer, offset, offset - self.synced, *frame);
            Location { segment: self.segment, offset }
        };
        frames.iter().map(place).collect()
    }
}
