//! A new segment: taken whole before it is needed, named when it is whole, used when its name is durable.

use super::disk::{Disk, DiskFile};
use super::error::{AppendError, Shortage};
use super::format::{Frame, HEADER_BYTES, Header, Location, MAX_BODY_BYTES, Salt};
use super::quarantine::is_full;
use super::writer::{Active, Log};

/// The least that a segment of the reserve has room for: some thousands of completions.
const SMALLEST_ROOM: u64 = 64 << 10;

// === impl Log ===

impl<D: Disk> Log<D> {
    /// Begins a segment whose first frame is `snapshot`. `Full` leaves the active segment in use.
    pub fn roll(&mut self, snapshot: Frame<'_>) -> Result<Location, AppendError> {
        self.roll_for(snapshot, 0)
    }

    /// As [`Log::roll`], with room for `least` bytes, which may be more than others have.
    pub fn roll_for(&mut self, snapshot: Frame<'_>, least: u64) -> Result<Location, AppendError> {
        let limit = self.options.max_bytes.saturating_sub(self.segment_for(snapshot));
        let capacity = HEADER_BYTES + snapshot.framed() + self.options.room().max(least);
        self.roll_within(snapshot, capacity, limit, self.options.free_floor)
    }

    /// As [`Log::roll`], into the reserve: what of `limit` others have left, which is one segment's worth of `max_bytes`, and below the
    /// free floor. For what lets a full log drain (who has what, what may be removed), never for a new message.
    ///
    /// What is left may be less than a segment, and so may be what a file system with little space gives: it is as large as it can be,
    /// with room for `least` bytes at least.
    pub fn roll_reserved(&mut self, snapshot: Frame<'_>, least: u64, limit: u64) -> Result<Location, AppendError> {
        let head = HEADER_BYTES + snapshot.framed();
        let left = limit.saturating_sub(self.used()).saturating_sub(head);
        let room = self.options.room().max(least);
        let smallest = least.max(SMALLEST_ROOM).min(room);
        let largest = room.min(left).max(smallest);
        let sizes = std::iter::successors(Some(largest), |size| Some(size / 4).filter(|size| *size > smallest));
        let mut shortage = Shortage::Disk;
        for size in sizes.chain([smallest]) {
            match self.roll_within(snapshot, head + size, limit, 0) {
                Err(AppendError::Full(one)) => shortage = one,
                rolled => return rolled,
            }
        }
        if !matches!(shortage, Shortage::Limit { .. }) && self.release_reserve() {
            return self.roll_within(snapshot, head + smallest, limit, 0);
        }
        Err(AppendError::Full(shortage))
    }

    /// As [`Log::roll`], of what is left when that is less than a segment.
    pub fn roll_rest(&mut self, snapshot: Frame<'_>) -> Result<Location, AppendError> {
        let limit = self.options.max_bytes.saturating_sub(self.segment_for(snapshot));
        let smallest = HEADER_BYTES + snapshot.framed() + SMALLEST_ROOM;
        let left = limit.saturating_sub(self.used()).min(self.segment_for(snapshot));
        self.roll_within(snapshot, left.max(smallest), limit, self.options.free_floor)
    }

    /// The smallest that there is, whatever the limit: a log that cannot write what is done never drains.
    pub fn roll_smallest(&mut self, snapshot: Frame<'_>, least: u64) -> Result<Location, AppendError> {
        let smallest = least.max(SMALLEST_ROOM).min(self.options.room().max(least));
        let limit = self.used().saturating_add(HEADER_BYTES + snapshot.framed() + smallest);
        self.roll_reserved(snapshot, least, limit)
    }

    /// Whether [`Log::roll_reserved`] could begin one more segment, above the free floor.
    pub fn has_reserve(&self, snapshot: Frame<'_>) -> bool {
        let reserve = self.segment_for(snapshot);
        let free = self.folder.disk.free_bytes(self.folder.dir()).unwrap_or(0);
        self.bytes().saturating_sub(self.spared()).saturating_add(reserve) <= self.options.max_bytes
            && free >= self.options.free_floor.saturating_add(reserve)
    }

    /// Bytes of a segment that begins with this.
    pub fn segment_for(&self, snapshot: Frame<'_>) -> u64 {
        HEADER_BYTES + snapshot.framed() + self.options.room()
    }

    fn roll_within(
        &mut self,
        snapshot: Frame<'_>,
        capacity: u64,
        limit: u64,
        floor: u64,
    ) -> Result<Location, AppendError> {
        self.check_poison()?;
        if snapshot.body.len() > MAX_BODY_BYTES {
            return Err(AppendError::TooLarge { bytes: snapshot.body.len() as u64, max: MAX_BODY_BYTES as u64 });
        }
        self.check_room(capacity, limit, floor)?;
        // What comes before the new segment is durable before it: also with the weaker levels a segment is all they lose.
        self.sync_now()?;
        let last = self.active_segment();
        let active = self.prepare_and_publish(snapshot, capacity)?;
        let location = Location { segment: active.segment, offset: HEADER_BYTES };
        self.sizes.insert(active.segment, capacity);
        self.extents.set(active.segment, active.end);
        let before = self.active.replace(active).map_or(self.recovered.0, |before| before.end);
        self.trim(last, before);
        self.measure();
        Ok(location)
    }

    fn check_room(&mut self, wanted: u64, limit: u64, floor: u64) -> Result<(), AppendError> {
        let used = self.used();
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
        // Behind what a checkpoint has seen, also when that is gone: a number is never used twice.
        let seen = self.checkpoints.iter().map(|one| one.place.segment).max().unwrap_or(0);
        let segment = self.active_segment().max(seen).saturating_add(1);
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
}
