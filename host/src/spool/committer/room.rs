//! Room in the log: who may take it, what happens when there is none, and how it comes back.

use std::time::{Duration, Instant};

use super::Committer;
use crate::control::clock;
use crate::control::config::WhenFull;
use crate::control::kill_point::{self, KillPoint};
use crate::spool::frame::SNAPSHOT;
use crate::spool::log::{AppendError, Disk, Frame};

/// How often a full log is tried again when nothing else happens: space may return without our doing.
pub(in crate::spool) const RETRY: Duration = Duration::from_millis(500);

/// One in so many bytes of a segment is for notes alone: enough for those that complete a segment's worth of messages, when
/// the disk has no room for the reserve.
const NOTE_SHARE: u64 = 64;

/// Why records have to wait, and until when.
pub(super) struct Full {
    retry: Instant,
    /// The same for small records, which have failed later.
    spare: Instant,
    /// The active segment is the reserve: it is not for records, whatever its room.
    reserve: bool,
}

/// Which room a write may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Records, and notes beside them.
    Any,
    /// Small records: what notes can spare.
    Spare,
    /// Notes alone.
    Reserved,
}

impl<D: Disk> Committer<D> {
    pub(super) fn may_write_records(&self) -> bool {
        self.full.as_ref().is_none_or(|full| full.retry <= clock::now())
    }

    pub(super) fn may_write_small_records(&self) -> bool {
        self.full.as_ref().is_none_or(|full| full.spare <= clock::now())
    }

    pub(super) fn make(&mut self, room: Room) -> Result<(), AppendError> {
        match room {
            Room::Any => self.make_room(),
            Room::Spare => self.make_reserved_room(self.kept_for_notes()),
            Room::Reserved => self.make_reserved_room(0),
        }
    }

    /// Bytes of records in one write.
    pub(super) fn most(&self, room: Room) -> u64 {
        if room == Room::Any { self.max_record() } else { self.note_share() / 2 }
    }

    fn make_room(&mut self) -> Result<(), AppendError> {
        let wanted = self.batch.framed() + self.note_share() as usize;
        let in_reserve = self.full.as_ref().is_some_and(|full| full.reserve);
        if in_reserve || self.log.must_roll(wanted) {
            self.roll()?;
        }
        if self.full.take().is_some() && self.policy.when_full != WhenFull::DropOldest {
            tracing::info!("the spool has room again");
        }
        Ok(())
    }

    /// What small records leave free: half of the notes' share of a segment. Half of the reserve, which is the last, and in which
    /// the log is squeezed.
    fn kept_for_notes(&self) -> u64 {
        let in_reserve = self.full.as_ref().is_some_and(|full| full.reserve);
        if in_reserve { self.log.max_append() / 2 } else { self.note_share() / 2 }
    }

    /// As far as the reserve goes, but for what is to be left of it.
    fn make_reserved_room(&mut self, left: u64) -> Result<(), AppendError> {
        if !self.log.must_roll(self.batch.framed() + left as usize) {
            return Ok(());
        }
        match self.roll() {
            Err(AppendError::Full(_)) => self.roll_reserved(),
            rolled => rolled,
        }
    }

    pub(super) fn roll(&mut self) -> Result<(), AppendError> {
        let snapshot = self.image.encode_snapshot();
        self.log.roll(Frame { kind: SNAPSHOT, body: &snapshot }).map(drop)
    }

    pub(super) fn roll_reserved(&mut self) -> Result<(), AppendError> {
        let snapshot = self.image.encode_snapshot();
        self.log.roll_reserved(Frame { kind: SNAPSHOT, body: &snapshot })?;
        let now = clock::now();
        self.full = Some(Full { retry: now, spare: now, reserve: true });
        Ok(())
    }

    pub(super) fn is_full(&mut self, room: Room, shortage: &dyn std::fmt::Display) {
        if self.full.is_none() {
            let policy = match self.policy.when_full {
                WhenFull::DropOldest => "the oldest messages go",
                WhenFull::BackPressure | WhenFull::DropQos0First => "devices are held back until there is room",
            };
            tracing::warn!("the spool is full: {shortage}; {policy}");
        }
        let reserve = self.full.as_ref().is_some_and(|full| full.reserve);
        let (now, before) = (clock::now(), self.full.as_ref().map(|full| full.spare));
        let spare = if room == Room::Any { before.unwrap_or(now) } else { now + RETRY };
        self.full = Some(Full { retry: now + RETRY, spare, reserve });
    }

    pub(super) fn retry(&self) -> Instant {
        self.full.as_ref().map_or_else(|| clock::now() + RETRY, |full| full.retry)
    }

    /// Deletes the segments that hold nothing any more. What is needed of them stands in the snapshot of the one after.
    pub(super) fn trim(&mut self) {
        let active = self.log.active_segment();
        let needed = self.image.needed_segment().unwrap_or(active).min(active);
        if needed <= self.log.first_segment() {
            return;
        }
        kill_point::reach(KillPoint::SegmentDone);
        match self.log.remove_below(needed) {
            Ok(()) => self.has_more_room(),
            // They cost space only, and the next turn tries again.
            Err(error) => tracing::warn!("a segment of the spool that is done cannot be removed: {error}"),
        }
    }

    /// A segment is gone: records are tried again, and the reserve may be whole again.
    fn has_more_room(&mut self) {
        let snapshot = self.image.encode_snapshot();
        let has_reserve = self.log.has_reserve(Frame { kind: SNAPSHOT, body: &snapshot });
        if let Some(full) = &mut self.full {
            (full.retry, full.spare) = (clock::now(), clock::now());
            full.reserve &= !has_reserve;
        }
    }

    /// The largest record, and the most that records may take in one write.
    pub(super) fn max_record(&self) -> u64 {
        self.log.max_append() - self.note_share()
    }

    pub(super) fn note_share(&self) -> u64 {
        self.log.max_append() / NOTE_SHARE
    }
}
