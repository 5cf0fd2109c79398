//! The archive: letters on disk, in a log of their own, bounded in bytes and in age.
//!
//! Whole oldest segments go when it is full or too old; what was removed by hand is only marked, and its space comes back
//! with its segment. Blocking: for a thread, or `spawn_blocking`.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::filter::Filter;
use super::fold::{Fold, Held, LETTER, MARKS, Marks, SNAPSHOT, Written, pairs};
use super::letter::DeadLetter;
use crate::base::clock::is_plausible;
use crate::config::{DeadLetters, Sync};
use crate::metrics::Counters;
use crate::spool::Intervals;
use crate::spool::log::{AppendError, Disk, Frame, Location, Log, OpenError, Options, OsDisk, Shortage};

pub struct Archive<D: Disk = OsDisk> {
    log: Log<D>,
    fold: Fold,
    max_age_ms: u64,
    max_bytes: u64,
    counters: Arc<Counters>,
}

/// What became of letters that were to be filed, from the front on.
#[derive(Debug, Default)]
pub struct Filed {
    /// Of each, whether it is kept. One that is not is larger than this archive has room for, now and later.
    pub are_kept: Vec<bool>,
    /// Why those behind have to wait.
    pub shortage: Option<String>,
}

/// One of so many segments is the least that can be dropped.
const SEGMENTS: u64 = 16;
/// The largest letter in parts of the archive: what is larger than a segment has one of its own. Beside it there is room for another
/// such, which is still in use when it begins, and for marks.
const LARGEST: (u64, u64) = (3, 8);
/// The least that a segment is: a letter with the largest packet of the default limits fits many times.
const SMALLEST_SEGMENT: u64 = 1 << 20;

// === impl Filed ===

impl Filed {
    pub fn all(letters: usize) -> Self {
        Self { are_kept: vec![true; letters], shortage: None }
    }
}

// === impl Archive ===

impl Archive {
    /// `spool` is the identity of the spool that letters come from; `None` for somebody who brings no letters.
    pub fn open(
        dir: &Path,
        config: &DeadLetters,
        spool: Option<u128>,
        counters: Arc<Counters>,
    ) -> Result<Self, OpenError> {
        Self::open_on(OsDisk, dir, config, spool, counters)
    }
}

impl<D: Disk> Archive<D> {
    pub(super) fn open_on(
        disk: D,
        dir: &Path,
        config: &DeadLetters,
        spool: Option<u128>,
        counters: Arc<Counters>,
    ) -> Result<Self, OpenError> {
        let mut fold = Fold::default();
        let (log, recovery) = Log::open(disk, dir, options(config), &mut |at, frame| fold.apply(at, frame))?;
        let damaged = recovery.quarantined.iter().filter(|one| !one.known).count() as u64 + recovery.unlisted;
        if damaged + fold.unreadable > 0 {
            let unreadable = fold.unreadable;
            tracing::error!(damaged, unreadable, "the dead letters were damaged; the bytes are in their `quarantine`");
        }
        if spool.is_some() && fold.spool != spool {
            (fold.spool, fold.through) = (spool, 0);
        }
        let max_age_ms = u64::try_from(config.max_age.as_millis()).unwrap_or(u64::MAX);
        Ok(Self { log, fold, max_age_ms, max_bytes: config.max_bytes, counters })
    }

    pub fn letters(&self) -> u64 {
        self.fold.letters()
    }

    pub fn marked(&self) -> &Intervals {
        &self.fold.marked
    }

    /// Letters by their number in the spool, in order. Those that are here already are left out.
    ///
    /// Gives the numbers of those that no segment has room for: they are not here, and whoever holds them says what becomes of them.
    pub fn append(&mut self, letters: &[(u64, Bytes)], now_ms: u64) -> Result<Vec<u64>, AppendError> {
        let mut refused = Vec::new();
        let through = self.fold.through;
        for (number, letter) in letters.iter().filter(|(number, _)| *number > through) {
            if !self.keep(*number, letter, now_ms)? {
                refused.push(*number);
            }
        }
        self.log.sync_now()?;
        Ok(refused)
    }

    /// Letters that did not come through the spool, where they would have had a number. Each is a message that leaves the spool when it
    /// is kept, so that what was kept before there was no more room is said to be.
    pub fn file(&mut self, letters: &[DeadLetter], now_ms: u64) -> Result<Filed, AppendError> {
        let (number, mut filed) = (self.fold.through, Filed::default());
        for letter in letters {
            match self.keep(number, &letter.encode(), now_ms) {
                Ok(is_kept) => filed.are_kept.push(is_kept),
                Err(AppendError::Full(shortage)) => {
                    filed.shortage = Some(shortage.to_string());
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        self.log.sync_now()?;
        let kept = filed.are_kept.iter().filter(|is_kept| **is_kept).count();
        self.counters.dead_letters_archived.add(kept as u64);
        Ok(filed)
    }

    /// Whether it is here now; not, when it is larger than this archive has room for.
    fn keep(&mut self, number: u64, letter: &[u8], now_ms: u64) -> Result<bool, AppendError> {
        let body = Written { id: self.fold.next_id, number, archived_ms: now_ms, letter }.encode().to_vec();
        match self.write((LETTER, body), false) {
            Err(AppendError::TooLarge { bytes, max }) => {
                let advice = "raise `max_bytes` of [dead_letters]";
                tracing::error!(bytes, max, "a dead letter is lost, it is too large for its archive: {advice}");
                Ok(false)
            }
            written => written.map(|()| true),
        }
    }

    /// Has these letters go again. How many they are.
    pub fn mark(&mut self, filter: &Filter) -> Result<u64, ArchiveError> {
        let found = self.select(filter)?;
        self.note(&Marks { marked: pairs(&found), ..Marks::default() })?;
        Ok(found.numbers().count() as u64)
    }

    pub fn unmark(&mut self, ids: &Intervals) -> Result<(), AppendError> {
        self.note(&Marks { unmarked: pairs(ids), ..Marks::default() })
    }

    pub fn remove(&mut self, ids: &Intervals) -> Result<(), AppendError> {
        self.note(&Marks { removed: pairs(ids), ..Marks::default() })?;
        self.drop_done();
        Ok(())
    }

    pub fn purge(&mut self, filter: &Filter) -> Result<u64, ArchiveError> {
        let found = self.select(filter)?;
        self.remove(&found)?;
        let count = found.numbers().count() as u64;
        self.counters.dead_letters_purged.add(count);
        Ok(count)
    }

    /// Letters that are marked, from this id on: at most `max` of them.
    pub fn next_marked(&self, from: u64, max: usize) -> std::io::Result<Vec<(u64, DeadLetter)>> {
        let Some(from) = self.fold.marked.numbers().find(|id| *id >= from) else { return Ok(Vec::new()) };
        let holds = |held: &Held| held.end_id > from;
        let segment = self.fold.segments.iter().find(|(_, held)| holds(held)).map_or(u64::MAX, |(segment, _)| *segment);
        let mut found = Vec::new();
        self.visit(Location { segment, offset: 0 }, &mut |id, letter| {
            if id >= from && self.fold.marked.contains(id) {
                found.push((id, letter));
            }
            found.len() < max
        })?;
        Ok(found)
    }

    /// Drops the segments whose letters are all too old or gone.
    pub fn expire(&mut self, now_ms: u64) -> Result<(), AppendError> {
        let max_age_ms = self.max_age_ms;
        // Written by an earlier version while its clock was not set: of unknown age.
        let too_old = |held: &Held| is_plausible(held.newest_ms) && held.newest_ms.saturating_add(max_age_ms) < now_ms;
        while let Some((segment, held)) = self.oldest().filter(|(_, held)| too_old(held)) {
            if segment == self.log.active_segment() {
                self.roll(true, 0)?;
            }
            self.drop_segment(segment, held);
        }
        self.drop_done();
        Ok(())
    }

    fn select(&self, filter: &Filter) -> std::io::Result<Intervals> {
        let mut found = Intervals::default();
        self.visit(Location::START, &mut |id, letter| {
            if self.fold.is_there(id) && filter.fits(id, &letter.metadata) {
                found.insert(id);
            }
            true
        })?;
        Ok(found)
    }

    /// Shows letters until `visit` has enough.
    fn visit(&self, from: Location, visit: &mut dyn FnMut(u64, DeadLetter) -> bool) -> std::io::Result<()> {
        let mut reader = self.log.reader(from);
        while let Some((_, kind, body)) = reader.next()? {
            let written = Written::decode(&body).filter(|_| kind == LETTER);
            if let Some(written) = written
                && let Ok(letter) = DeadLetter::decode(written.letter)
                && !visit(written.id, letter)
            {
                break;
            }
        }
        Ok(())
    }

    fn note(&mut self, marks: &Marks) -> Result<(), AppendError> {
        let body = serde_json::to_vec(marks).unwrap_or_default();
        self.write((MARKS, body), true)?;
        self.log.sync_now()
    }

    fn write(&mut self, (kind, body): (u8, Vec<u8>), reserved: bool) -> Result<(), AppendError> {
        let frame = Frame { kind, body: &body };
        let bytes = self.check_size(&frame)?;
        if self.log.must_roll(usize::try_from(bytes).unwrap_or(usize::MAX)) {
            self.roll(reserved, bytes)?;
        }
        for at in self.log.append(&[frame])? {
            self.fold.apply(at, frame);
        }
        Ok(())
    }

    /// What it takes in a segment, if one has room for it.
    fn check_size(&self, frame: &Frame<'_>) -> Result<u64, AppendError> {
        let (bytes, max) = (frame.framed(), self.log.max_append().max(self.max_bytes / LARGEST.1 * LARGEST.0));
        if bytes > max { Err(AppendError::TooLarge { bytes, max }) } else { Ok(bytes) }
    }

    /// A new segment with room for `least` bytes; the oldest goes for it when the archive is full.
    fn roll(&mut self, reserved: bool, least: u64) -> Result<(), AppendError> {
        loop {
            let snapshot = self.fold.encode_snapshot();
            let snapshot = Frame { kind: SNAPSHOT, body: &snapshot };
            let rolled = if reserved {
                self.log.roll_reserved(snapshot, least, self.max_bytes)
            } else {
                self.log.roll_for(snapshot, least)
            };
            match (rolled, self.log.first_segment()) {
                (Err(AppendError::Full(Shortage::Limit { .. })), first) if first < self.log.active_segment() => {
                    let held = self.fold.segments.get(&first).copied();
                    self.drop_segment(first, held.unwrap_or(Held { first_id: 0, end_id: 0, newest_ms: 0 }));
                }
                (rolled, _) => return rolled.map(drop),
            }
        }
    }

    /// The oldest segments in which no letter is left, up to the active one.
    fn drop_done(&mut self) {
        while let first = self.log.first_segment()
            && first < self.log.active_segment()
            && self.fold.segments.get(&first).is_none_or(|held| self.fold.left_in(held) == 0)
        {
            if !self.drop_segment(first, Held { first_id: 0, end_id: 0, newest_ms: 0 }) {
                break;
            }
        }
    }

    fn drop_segment(&mut self, segment: u64, held: Held) -> bool {
        let left = self.fold.left_in(&held);
        self.counters.dead_letters_dropped.add(left);
        if left > 0 {
            tracing::warn!(letters = left, "the oldest dead letters are dropped: too old, or too many");
        }
        self.fold.forget(segment);
        // It costs space only, and is tried again with the next.
        let removed = self.log.remove_below(segment + 1);
        removed.inspect_err(|error| tracing::warn!("dead letters cannot be removed: {error}")).is_ok()
    }

    fn oldest(&self) -> Option<(u64, Held)> {
        self.fold.segments.iter().next().map(|(segment, held)| (*segment, *held))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("the dead letters cannot be read: {0}")]
    Read(#[from] std::io::Error),
    #[error(transparent)]
    Write(#[from] AppendError),
}

fn options(config: &DeadLetters) -> Options {
    let segment_bytes =
        (config.max_bytes / SEGMENTS).max(SMALLEST_SEGMENT).max(DeadLetters::least_segment(config.max_message_bytes));
    // Synced once for a batch, by `sync_now`.
    let sync = Sync::Interval(std::time::Duration::ZERO);
    Options { segment_bytes, max_bytes: config.max_bytes, free_floor: 0, sync }
}
