//! When the state gets a checkpoint of its own, and how: beside everything else.
//!
//! Segments go oldest first, and only when all that they say of the state stands in a checkpoint. So the question is what is kept
//! for the state alone:
//!
//! - **Worth it**: a segment's worth or more is kept for nothing else, and the log has grown by [`GROWTH`] times the state since
//!   the last one; so at most a quarter is written more. For a small state the first is enough.
//! - **Needed**: records have no room. Then what is kept for the state alone goes as soon as it is as much as the state, or an eighth
//!   of the log; or when the oldest segment was compacted: the next one is not, before that one has gone.
//! - **Damaged**: what a start has found damaged, or written by an older format, goes when its messages are done, so that no later start
//!   finds and tells it again.
//! - **Two stay.** The segments above the older one stay as well while there is room, so that a checkpoint that rots is no loss.
//!
//! One piece of the state for each turn, written and synced by a thread of its own, so that no ack waits for it.

use std::time::{Duration, Instant};

use super::Committer;
use super::checkpoint_writer::{Finished, Writing};
use crate::base::clock;
use crate::spool::frame::STATE;
use crate::spool::key::Key;
use crate::spool::log::{AppendError, Disk, Location, Log};

/// The log grows by so many times the state between two checkpoints.
const GROWTH: u64 = 4;
/// A state below this part of a segment may be written with each.
const CHEAP: u64 = 64;
/// Of segments that are small because a process ended in each.
const MANY_SEGMENTS: u64 = 16;
/// Of the state, copied in one turn.
const PIECE: usize = 256 << 10;
/// Before the thread that writes is asked again.
const POLL: Duration = Duration::from_millis(5);
/// After a disk without room.
const RETRY: Duration = Duration::from_secs(10);
/// Left free on the file system, beside the state.
const SPARE: u64 = 16 << 10;

/// What is known of checkpoints, and the one that is being written.
pub(super) struct Checkpointing<D: Disk> {
    running: Option<Running<D>>,
    /// Written to the log since the last one began.
    pub grown: u64,
    not_before: Option<Instant>,
    /// Whether a thread writes. Not in what turns by hand.
    pub has_thread: bool,
}

struct Running<D: Disk> {
    writing: Writing<D>,
    /// The last key that was copied.
    after: Option<Key>,
    is_copied: bool,
}

// === impl Checkpointing ===

impl<D: Disk> Checkpointing<D> {
    pub fn new() -> Self {
        Self { running: None, grown: 0, not_before: None, has_thread: false }
    }

    /// When to look again at one that is being written.
    pub fn due(&self) -> Option<Instant> {
        self.running.as_ref().map(|_| clock::now() + POLL)
    }
}

impl<D: Disk> Committer<D> {
    /// When to turn again for a checkpoint; none when none is being written.
    pub fn checkpoint_due(&self) -> Option<Instant> {
        self.checkpoint.due()
    }

    pub fn write_checkpoints_beside(&mut self) {
        self.checkpoint.has_thread = true;
    }

    /// One piece of a checkpoint, or the decision to begin one. Whether there was something to do.
    pub(super) fn turn_checkpoint(&mut self) -> Result<bool, AppendError> {
        let Some(mut running) = self.checkpoint.running.take() else { return self.begin_checkpoint_if_due() };
        if !running.is_copied {
            let moved = self.copy_piece(&mut running);
            self.checkpoint.running = Some(running);
            return moved;
        }
        match running.writing.poll() {
            Finished::NotYet => {
                self.checkpoint.running = Some(running);
                Ok(false)
            }
            Finished::Written(checkpoint) => {
                tracing::debug!(
                    bytes = checkpoint.bytes,
                    number = checkpoint.number,
                    "a checkpoint of the state is written"
                );
                self.log.adopt(checkpoint).map_err(AppendError::Fatal)?;
                self.trim();
                Ok(true)
            }
            Finished::Failed(error) => self.checkpoint_failed(error).map(|()| false),
        }
    }

    /// A checkpoint is being written that segments wait for.
    pub(super) fn is_making_room(&self) -> bool {
        self.checkpoint.running.is_some() && self.kept_for_state(self.newest().segment) > 0
    }

    fn begin_checkpoint_if_due(&mut self) -> Result<bool, AppendError> {
        if self.checkpoint.not_before.is_some_and(|then| clock::now() < then) || !self.is_checkpoint_due() {
            return Ok(false);
        }
        let (place, bytes) = (self.log.end(), self.image.state().bytes());
        let has_room = |log: &Log<D>| log.checkpoint_room().is_none_or(|room| room >= bytes + bytes / 8 + SPARE);
        let begun = if has_room(&self.log) || (self.log.release_reserve() && has_room(&self.log)) {
            self.log.begin_checkpoint(place)
        } else {
            Err(std::io::ErrorKind::StorageFull.into())
        };
        let begun = begun.and_then(|writer| Writing::begin(writer, self.checkpoint.has_thread));
        match begun {
            Err(error) => self.checkpoint_failed(error).map(|()| false),
            Ok(writing) => {
                self.checkpoint.grown = 0;
                self.checkpoint.not_before = None;
                self.checkpoint.running = Some(Running { writing, after: None, is_copied: false });
                Ok(true)
            }
        }
    }

    /// Hands on one piece, if the writer takes it now.
    fn copy_piece(&mut self, running: &mut Running<D>) -> Result<bool, AppendError> {
        if !running.writing.is_ready() {
            return Ok(false);
        }
        match self.image.state().encode_after(running.after.as_ref(), PIECE) {
            Some((piece, last)) => {
                running.writing.put(STATE, piece.freeze());
                running.after = Some(last);
            }
            None => {
                // With the weaker levels of sync, what it says may not be durable where it was said first.
                self.log.sync_now()?;
                running.writing.finish();
                running.is_copied = true;
            }
        }
        Ok(true)
    }

    /// A disk without room is asked again later; any other error is that of a disk that is going.
    fn checkpoint_failed(&mut self, error: std::io::Error) -> Result<(), AppendError> {
        if !crate::spool::log::is_full(&error) {
            return Err(AppendError::Fatal(error));
        }
        self.checkpoint.not_before = Some(clock::now() + RETRY);
        let bytes = self.image.state().bytes();
        tracing::warn!(
            bytes,
            "no room for a checkpoint of the state (retained messages, sessions, what plugins remember), so that segments of the spool \
             cannot go: free space on the file system of `data_dir`"
        );
        Ok(())
    }

    fn is_checkpoint_due(&self) -> bool {
        if self.log.first_segment() == self.log.active_segment() {
            return false;
        }
        let (state, room) = (self.image.state().bytes(), self.log.max_append());
        let (kept, is_cheap) = (self.kept_for_state(self.fallback().segment), state <= room / CHEAP);
        let is_worthwhile = kept >= room && (is_cheap || self.checkpoint.grown >= GROWTH * state);
        let are_many = is_cheap && self.segments_kept_for_state() >= MANY_SEGMENTS;
        let kept = self.kept_for_state(self.newest().segment);
        let is_enough = kept >= state.max(room / 2).min(self.policy.max_bytes / 8)
            || self.checkpoint.grown >= GROWTH * state
            || self.is_worthwhile();
        let is_needed = self.is_short_of_room() && self.waits_for_checkpoint() && is_enough;
        let is_damaged = self.log.first_segment() <= self.suspect
            && self.suspect < self.done_below()
            && self.newest().segment <= self.suspect;
        is_worthwhile || are_many || is_needed || is_damaged
    }

    /// More is kept for the state alone than its budget has room for.
    pub(super) fn waits_for_checkpoint(&self) -> bool {
        let spared = if self.is_short_of_disk() { 0 } else { self.log.spared() };
        self.kept_for_state(self.newest().segment) > spared
    }

    /// What the log may keep for the state alone, beside `max_bytes`.
    pub(super) fn state_allowance(&self) -> u64 {
        let state = self.image.state().bytes();
        (GROWTH * state).min(self.policy.max_state_bytes).min(self.policy.max_bytes)
    }

    /// Bytes of segments that hold nothing of any upstream, from this one on.
    pub(super) fn kept_for_state(&self, from: u64) -> u64 {
        self.log.bytes_in(from..self.done_below())
    }

    fn segments_kept_for_state(&self) -> u64 {
        self.done_below().saturating_sub(self.log.first_segment().max(self.newest().segment))
    }

    /// Segments below hold no message that is wanted.
    pub(super) fn done_below(&self) -> u64 {
        let active = self.log.active_segment();
        self.image.needed_segment().unwrap_or(active).min(active)
    }

    /// The place of the checkpoint that holds.
    pub(super) fn newest(&self) -> Location {
        self.log.checkpoints().next().map_or(Location::START, |one| one.place)
    }

    /// The place of the one that would be taken, if that one was damaged.
    pub(super) fn fallback(&self) -> Location {
        self.log.checkpoints().nth(1).map_or(self.newest(), |one| one.place)
    }
}
