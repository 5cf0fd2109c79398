//! The one owner of the log: takes what waits, writes it once, syncs it once, and only then lets anybody see or ack it.
//!
//! ```text
//!  turn:  collect ─▶ admit ─▶ encode ─▶ (roll) ─▶ append + sync ─▶ fold into the image ─▶ place, confirm ─▶ resolve ─▶ trim
//! ```
//!
//! - **Nobody waits for a batch to fill.** While one write is under way the next batch gathers by itself: that is the group
//!   commit, and it grows with the load.
//! - **Full is not an error.** By default records then wait here in commit order, each with its receipt and its lane permits, so that
//!   the lanes fill and the devices are held back. They are tried again when a segment has gone, and every [`RETRY`].
//! - **An error is the end.** Nothing is resolved after it; whoever waits is dropped unacknowledged, and the process ends.
//! - **A record that no segment has room for** is refused, whole, and its outputs are counted as `oversize`: its device is told, and
//!   nothing of it is acknowledged. Of one that nobody waits for, the changes are kept if they fit.
//!
//! It has no thread of its own in here ([`super::threads`]), so that a test can turn it by hand.

mod admission;
mod barrier;
mod bypass;
mod checkpoint;
mod checkpoint_writer;
mod compact;
mod evict;
mod fairness;
mod fold;
mod room;
mod waited;
mod wills;
mod write;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use self::checkpoint::Checkpointing;
use self::compact::Compact;
use self::fairness::Over;
use self::room::{Full, Room};
pub(in crate::spool) use self::room::{RETRY, max_record};
use self::waited::Waited;
use self::wills::Wills;
use super::batch::{Batch, fits};
use super::completions::Completions;
use super::image::Image;
use super::log::{AppendError, Disk, Log};
use super::offsets::Offsets;
use super::{Change, DEAD_LETTERS, Intervals, Record, Shared};
use crate::base::clock;
use crate::base::fault::{self, Fault};
use crate::base::rate_limit::RateLimit;
use crate::config::{self, Qos0};
use crate::tap::Step;

pub(super) struct Committer<D: Disk> {
    /// Before the log: it ends before the folder is free.
    checkpoint: Checkpointing<D>,
    log: Log<D>,
    image: Image,
    /// Of the configuration, in order; then those that only the log knows.
    names: Vec<Arc<str>>,
    configured: usize,
    policy: config::Spool,
    /// Just taken; kept for its memory.
    incoming: VecDeque<Record>,
    /// Wait for their budget.
    wills: Wills,
    /// Held back by the share of an upstream.
    records: VecDeque<Record>,
    /// Admitted, next to be written.
    ready: VecDeque<Record>,
    completions: Completions,
    batch: Batch,
    full: Option<Full>,
    compact: Option<Compact<D>>,
    next_sweep: Instant,
    /// What was dropped is in the queue state, and not in the log yet: what would be dropped next is not known before.
    is_dropping: bool,
    /// Upstreams whose share is full, by name in the log of the gateway.
    is_held: Vec<bool>,
    /// Bindings that have more than their part of a share that is short.
    over_part: Over,
    waited: Option<Waited>,
    /// Damage was found when it was opened, in segments up to here; 0 when there was none.
    suspect: u64,
    warnings: RateLimit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There may be more.
    Worked,
    Idle,
    /// What waits here has to wait on, until then.
    Full(Instant),
}

// === impl Committer ===

impl<D: Disk> Committer<D> {
    pub fn new(log: Log<D>, image: Image, names: Vec<Arc<str>>, configured: usize, policy: config::Spool) -> Self {
        Self {
            completions: Completions::new(names.len()),
            batch: Batch::new(policy.qos0),
            is_held: vec![false; names.len()],
            over_part: Over::new(),
            waited: None,
            checkpoint: Checkpointing::new(),
            log,
            image,
            names,
            configured,
            policy,
            incoming: VecDeque::new(),
            wills: Wills::new(),
            records: VecDeque::new(),
            ready: VecDeque::new(),
            full: None,
            compact: None,
            next_sweep: clock::now(),
            is_dropping: false,
            suspect: 0,
            warnings: RateLimit::per_second(1),
        }
    }

    /// The first segment of this process. A log that is full from the start opens all the same: it has a backlog to send.
    pub fn begin(&mut self, shared: &Shared) -> Result<(), AppendError> {
        // What is done makes room before any is asked for.
        self.trim();
        match self.roll().or_else(|error| self.roll_rest().map_err(|_| error)) {
            Err(AppendError::Full(shortage)) => {
                let rolled = self.roll_for_notes(0);
                self.begin_full(shared, Room::Any, shortage);
                match rolled {
                    Err(AppendError::Full(_)) | Ok(()) => Ok(()),
                    error => error,
                }
            }
            rolled => rolled,
        }?;
        self.trim();
        Ok(())
    }

    /// Its segments, as they were found, are not as we would write them.
    pub fn suspect_all(&mut self) {
        self.suspect = self.log.active_segment();
    }

    /// When to turn again for wills that wait; none when there are none.
    pub fn wills_due(&self) -> Option<Instant> {
        self.wills.due()
    }

    /// What an upstream has not completed.
    pub fn incomplete(&self, upstream: &str) -> Intervals {
        self.image.offsets(upstream).map(Offsets::incomplete_numbers).unwrap_or_default()
    }

    pub fn log_mut(&mut self) -> &mut Log<D> {
        &mut self.log
    }

    /// One write, if there is something to write.
    pub fn turn(&mut self, shared: &Shared) -> Result<Turn, AppendError> {
        let is_closing = self.collect(shared);
        // What is half written when the spool closes comes to nothing: the next process begins anew when it is worth it.
        let has_copied = !is_closing && self.turn_checkpoint()?;
        self.expire(shared);
        let has_dropped = self.admit(shared);
        let ready = if self.may_write_records() { self.ready.len() } else { 0 };
        if ready > 0 && self.write(shared, ready, Room::Any)? {
            return Ok(Turn::Worked);
        }
        let small = if self.may_write_small_records() { self.advance() } else { 0 };
        if small > 0 && self.write(shared, small, Room::Spare)? {
            return Ok(Turn::Worked);
        }
        if !self.completions.is_empty() && self.write(shared, 0, Room::Reserved)? {
            return Ok(Turn::Worked);
        }
        if has_copied || has_dropped || (!self.ready.is_empty() && self.make_space(shared)?) {
            return Ok(Turn::Worked);
        }
        let waits = !self.records.is_empty() || !self.ready.is_empty() || !self.completions.is_empty();
        Ok(if waits { Turn::Full(self.retry()) } else { Turn::Idle })
    }

    /// Its reader is the archive: it has no share, and its entries are no messages that could expire or make room.
    fn is_archive(&self, upstream: usize) -> bool {
        self.names.get(upstream).is_some_and(|name| **name == *DEAD_LETTERS)
    }

    /// How many small records are in front now.
    fn advance(&mut self) -> usize {
        fold::wills(&mut self.ready);
        let state = self.image.state().entries();
        bypass::advance(&mut self.ready, |key| state.contains_key(key))
    }

    /// Whether the spool is closing.
    fn collect(&mut self, shared: &Shared) -> bool {
        let mut queue_state = shared.queue_state();
        queue_state.take_incoming(&mut self.incoming);
        self.completions.absorb(&mut queue_state.completions);
        let is_closing = queue_state.closing;
        drop(queue_state);
        self.wills.hold(&mut self.incoming);
        self.wills.release(&mut self.incoming, is_closing);
        self.take(shared);
        is_closing
    }

    /// All that go into a segment.
    fn take(&mut self, shared: &Shared) {
        let (most, qos0, names) = (self.max_record() as usize, self.policy.qos0, &self.names);
        let fits = |record: &Record| fits(record, names, qos0, most);
        if self.incoming.iter().all(fits) {
            return self.records.append(&mut self.incoming);
        }
        for record in self.incoming.drain(..) {
            match record {
                record if fits(&record) => self.records.push_back(record),
                record if record.receipt.is_none() || record.ends_unfinished() => {
                    self.records.push_back(reduced(record, qos0, fits, shared));
                }
                record => refuse(record, shared),
            }
        }
    }
}

/// Somebody waits for it, and is told that it never will be safe.
fn refuse(record: Record, shared: &Shared) {
    tell_oversize(&record);
    shared.queue_state().refuse(&record.outputs);
    if fault::is_on(Fault::OversizeAcked) {
        return record.receipt.resolve();
    }
    record.receipt.refuse();
}

/// Nobody waits for it, or a part of what it belongs to is safe already and must not be refused any more: what fits of it is kept.
fn reduced(mut record: Record, qos0: Qos0, fits: impl Fn(&Record) -> bool, shared: &Shared) -> Record {
    tell_oversize(&record);
    let (kept, rest): (Vec<_>, Vec<_>) = record.outputs.drain(..).partition(|output| output.is_kept(qos0));
    // Written down before it was done: its device may have been told that it is safe.
    if record.ends_unfinished() {
        shared.queue_state().lose_oversize(&kept);
    } else {
        shared.queue_state().refuse(&kept);
    }
    record.outputs = rest;
    if !fits(&record) {
        record.changes.retain(Change::is_end_of_unfinished);
    }
    record
}

pub(super) fn tell_oversize(record: &Record) {
    let topic = record.outputs.first().map(|output| &output.message.topic);
    let (outputs, changes) = (record.outputs.len(), record.changes.len());
    if let Some(trace) = &record.trace {
        trace.tell(|| Step::Refused { detail: "it is larger than a segment of the spool".into() });
    }
    tracing::error!(?topic, outputs, changes, "a record is larger than a segment of the spool, and cannot be kept");
}
