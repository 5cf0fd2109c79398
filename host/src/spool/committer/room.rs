//! Room in the log: who may take it, what happens when there is none, and how it comes back.

use std::time::{Duration, Instant};

use super::Committer;
use crate::base::clock;
use crate::base::fault::{self, Fault};
use crate::base::kill_point::{self, KillPoint};
use crate::config::WhenFull;
use crate::spool::frame::TRACKS;
use crate::spool::log::{AppendError, Disk, Frame, Shortage};
use crate::spool::{Held, Shared};

/// How often a full log is tried again when nothing else happens: space may return without our doing.
pub(in crate::spool) const RETRY: Duration = Duration::from_millis(500);

/// How often a person is told that devices are still held back.
const TELL_AGAIN: Duration = Duration::from_secs(600);

/// One in so many bytes of a segment is for completions alone: enough for those that complete a segment's worth of messages, when
/// the disk has no room for the reserve.
const NOTE_SHARE: u64 = 64;

/// Why records have to wait, and until when.
pub(super) struct Full {
    retry: Instant,
    /// The same for small records, which have failed later.
    spare: Instant,
    /// The active segment is the reserve: it is not for records, whatever its room.
    reserve: bool,
    /// Of the file system, not of the limit.
    by_disk: bool,
    /// When a person was told last.
    told: Option<Instant>,
}

/// Which room a write may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Records, and completions beside them.
    Any,
    /// Small records: what completions can spare.
    Spare,
    /// Completions alone.
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
        if room == Room::Any { self.max_record() } else { self.completion_share() / 2 }
    }

    fn make_room(&mut self) -> Result<(), AppendError> {
        let wanted = self.batch.framed() + self.completion_share() as usize;
        let in_reserve = self.full.as_ref().is_some_and(|full| full.reserve);
        if in_reserve || self.log.must_roll(wanted) {
            self.roll()?;
        }
        if self.full.take().is_some() && self.policy.when_full != WhenFull::DropOldest {
            tracing::info!("the spool has room again");
        }
        Ok(())
    }

    /// What small records leave free: half of the completions' share of a segment. Half of the reserve, which is the last, and in which
    /// the log is compacted.
    fn kept_for_notes(&self) -> u64 {
        let in_reserve = self.full.as_ref().is_some_and(|full| full.reserve);
        if in_reserve { self.log.max_append() / 2 } else { self.completion_share() / 2 }
    }

    /// As far as the reserve goes, but for what is to be left of it.
    fn make_reserved_room(&mut self, left: u64) -> Result<(), AppendError> {
        let wanted = self.batch.framed() as u64 + left;
        if !self.log.must_roll(wanted as usize) {
            return Ok(());
        }
        let least = wanted.min(self.log.max_append());
        match self.roll() {
            Err(AppendError::Full(_)) if left == 0 => self.roll_for_notes(least),
            Err(AppendError::Full(_)) => self.roll_reserved(least, self.reserve_limit()),
            rolled => rolled,
        }
    }

    /// Completions alone may pass every limit, in the smallest segments there are: their messages go for them.
    pub(super) fn roll_for_notes(&mut self, least: u64) -> Result<(), AppendError> {
        match self.roll_reserved(least, self.reserve_limit()) {
            Err(AppendError::Full(Shortage::Limit { .. })) if !fault::is_on(Fault::LoweredLimitHolds) => {
                let body = self.image.encode_tracks();
                self.log.roll_smallest(Frame { kind: TRACKS, body: &body }, least)?;
                self.reserve_begins();
                Ok(())
            }
            rolled => rolled,
        }
    }

    pub(super) fn roll(&mut self) -> Result<(), AppendError> {
        let body = self.image.encode_tracks();
        self.log.roll(Frame { kind: TRACKS, body: &body })?;
        self.log.keep_reserve();
        Ok(())
    }

    /// What the last process has left of its segment for records: the parts of bindings are as large as before.
    pub(super) fn roll_rest(&mut self) -> Result<(), AppendError> {
        let body = self.image.encode_tracks();
        self.log.roll_rest(Frame { kind: TRACKS, body: &body })?;
        self.log.keep_reserve();
        Ok(())
    }

    /// With room for `least` bytes.
    pub(super) fn roll_reserved(&mut self, least: u64, limit: u64) -> Result<(), AppendError> {
        let body = self.image.encode_tracks();
        self.log.roll_reserved(Frame { kind: TRACKS, body: &body }, least, limit)?;
        self.reserve_begins();
        Ok(())
    }

    fn reserve_begins(&mut self) {
        let (now, before) = (clock::now(), self.full.take());
        let (told, by_disk) = before.map_or((None, false), |full| (full.told, full.by_disk));
        self.full = Some(Full { retry: now, spare: now, reserve: true, told, by_disk });
    }

    /// How far the log goes for what is not a message. The messages that wait may take more than `max_bytes`, when that was lowered:
    /// then there are two segments beside them. What else there is already, of earlier processes too, is no reason for more.
    pub(super) fn reserve_limit(&self) -> u64 {
        let (max, segment) = (self.policy.max_bytes, self.segment());
        let wanted: u64 = self.image.all_offsets().iter().map(|offsets| offsets.bytes().0).sum();
        // A full log leaves one whole segment.
        let is_over = wanted + segment / 2 > max && !fault::is_on(Fault::LoweredLimitHolds);
        if is_over { wanted + 2 * segment } else { max }
    }

    /// Bytes of a whole one.
    pub(super) fn segment(&self) -> u64 {
        self.log.segment_for(Frame { kind: TRACKS, body: &self.image.encode_tracks() })
    }

    /// There is no room. Told when it begins, and again from time to time while it lasts.
    pub(super) fn begin_full(&mut self, shared: &Shared, room: Room, shortage: Shortage) {
        let now = clock::now();
        if self.full.as_ref().is_none_or(|full| full.told.is_none_or(|told| now >= told + TELL_AGAIN)) {
            let held = Held::by_shortage(shortage);
            let policy = match self.policy.when_full {
                WhenFull::DropOldest => "the oldest messages go",
                WhenFull::BackPressure | WhenFull::DropQos0First => "devices are held back until there is room",
            };
            tracing::warn!("{}; {policy}: {}", held.reason, held.advice);
        }
        let before = self.full.take();
        let told = before.as_ref().and_then(|full| full.told).filter(|told| now < *told + TELL_AGAIN).unwrap_or(now);
        let spare = if room == Room::Any { before.as_ref().map_or(now, |full| full.spare) } else { now + RETRY };
        let reserve = before.is_some_and(|full| full.reserve);
        let by_disk = !matches!(shortage, Shortage::Limit { .. });
        self.full = Some(Full { retry: now + RETRY, spare, reserve, told: Some(told), by_disk });
        self.publish_held(shared, Some(Held::by_shortage(shortage)));
    }

    /// Why records wait, for whoever asks: the log as a whole, then each share.
    pub(super) fn publish_held(&self, shared: &Shared, whole: Option<Held>) {
        let share = self.share();
        let of_shares = self.names.iter().zip(&self.is_held).filter(|(_, is_held)| **is_held);
        let of_shares = of_shares.map(|(name, _)| Held::by_share(name, share));
        let name = |upstream: usize| self.names.get(upstream).map_or("", |name| &**name);
        let of_parts = self.over_part.iter().map(|(upstream, binding)| Held::by_part(name(*upstream), binding));
        let held = whole.into_iter().chain(of_shares).chain(of_parts).collect();
        shared.queue_state().held = held;
    }

    /// One that has passed was for records that are in the log by now: those that wait are held by a share, and to look again at once
    /// would be to do nothing else.
    pub(super) fn retry(&self) -> Instant {
        let now = clock::now();
        let is_later = |retry: &Instant| *retry > now || fault::is_on(Fault::CommitterSpins);
        self.full.as_ref().map(|full| full.retry).filter(is_later).unwrap_or(now + RETRY)
    }

    /// Records wait, or have no room but what is for completions.
    pub(super) fn is_short_of_room(&self) -> bool {
        self.full.is_some()
    }

    /// The file system has no room, so that what is spared counts as well.
    pub(super) fn is_short_of_disk(&self) -> bool {
        self.full.as_ref().is_some_and(|full| full.by_disk)
    }

    /// Segments that are kept for the state alone count against the budget of the state, and not against that of the log.
    fn spare_state(&mut self) {
        let before = self.log.spared();
        let spared = self.kept_for_state(self.newest().segment).min(self.state_allowance());
        self.log.spare(spared);
        if spared > before {
            self.has_more_room();
        }
    }

    /// Deletes the segments that hold nothing any more: no message that is wanted, and no state that is not in a checkpoint. While
    /// there is room, in two.
    pub(super) fn trim(&mut self) {
        let kept = if self.is_short_of_room() { self.newest() } else { self.fallback() };
        let needed = self.done_below().min(kept.segment);
        if needed > self.log.first_segment() {
            kill_point::reach(KillPoint::SegmentDone);
            match self.log.remove_below(needed) {
                Ok(()) => self.has_more_room(),
                // They cost space only, and the next turn tries again.
                Err(error) => tracing::warn!("a segment of the spool that is done cannot be removed: {error}"),
            }
        }
        self.spare_state();
    }

    /// A segment is gone: records are tried again, and the reserve may be whole again.
    fn has_more_room(&mut self) {
        let body = self.image.encode_tracks();
        let has_reserve = self.log.has_reserve(Frame { kind: TRACKS, body: &body });
        if let Some(full) = &mut self.full {
            (full.retry, full.spare) = (clock::now(), clock::now());
            full.reserve &= !has_reserve;
        }
    }

    /// The largest record, and the most that records may take in one write.
    pub(super) fn max_record(&self) -> u64 {
        max_record(self.log.max_append())
    }

    /// Whether fewer records in one write could find room.
    pub(super) fn has_rest(&self, shortage: Shortage) -> bool {
        let in_reserve = self.full.as_ref().is_some_and(|full| full.reserve);
        matches!(shortage, Shortage::Limit { .. }) && !in_reserve
    }

    pub(super) fn completion_share(&self) -> u64 {
        self.log.max_append() / NOTE_SHARE
    }
}

pub(in crate::spool) fn max_record(max_append: u64) -> u64 {
    max_append - max_append / NOTE_SHARE
}
