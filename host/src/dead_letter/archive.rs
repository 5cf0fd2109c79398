//! The archive: letters on disk, in a log of their own, bounded in bytes and in age.
//!
//! Whole oldest segments go when it is full or too old, and letters of those who have few there are taken along (`carry`); what was
//! removed by hand is only marked, and its space comes back with its segment. Blocking: for a thread, or `spawn_blocking`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::carry::{Carrying, Taken};
use super::filter::Filter;
use super::fold::{Fold, Held, LETTER, MARKS, Marks, SNAPSHOT, Written, pairs};
use super::letter::DeadLetter;
use crate::base::clock::is_plausible;
use crate::base::kill_point::{self, KillPoint};
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

    /// Of its files, as they count against its limit.
    pub fn bytes(&self) -> u64 {
        self.log.used()
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
        // The lowest ids, wherever they stand.
        let mut wanted: BTreeSet<u64> = self.fold.marked.numbers().filter(|id| *id >= from).take(max).collect();
        let holds = |held: &Held| wanted.iter().any(|id| held.ids.contains(*id));
        let first = self.fold.segments.iter().find(|(_, held)| holds(held));
        let Some(segment) = first.map(|(segment, _)| *segment) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        self.visit(Location { segment, offset: 0 }, &mut |_, written, letter| {
            if wanted.remove(&written.id) {
                found.push((written.id, letter));
            }
            !wanted.is_empty()
        })?;
        found.sort_unstable_by_key(|(id, _)| *id);
        Ok(found)
    }

    /// Drops the segments whose letters are all too old or gone.
    pub fn expire(&mut self, now_ms: u64) -> Result<(), AppendError> {
        while let Some((segment, held)) = self.fold.segments.first_key_value()
            && self.is_too_old(held.newest_ms, now_ms)
        {
            let segment = *segment;
            if segment == self.log.active_segment() {
                self.roll(true, 0)?;
            }
            self.drop_segment(segment);
        }
        self.drop_done();
        Ok(())
    }

    /// What an earlier version has written while its clock was not set is of unknown age.
    fn is_too_old(&self, archived_ms: u64, now_ms: u64) -> bool {
        is_plausible(archived_ms) && archived_ms.saturating_add(self.max_age_ms) < now_ms
    }

    fn select(&self, filter: &Filter) -> std::io::Result<Intervals> {
        let mut found = Intervals::default();
        self.visit(Location::START, &mut |_, written, letter| {
            if filter.fits(written.id, &letter.metadata) {
                found.insert(written.id);
            }
            true
        })?;
        Ok(found)
    }

    /// Shows letters that are not removed, each where it stands, until `visit` has enough.
    fn visit(
        &self,
        from: Location,
        visit: &mut dyn FnMut(Location, &Written<'_>, DeadLetter) -> bool,
    ) -> std::io::Result<()> {
        let mut reader = self.log.reader(from);
        while let Some((at, kind, body)) = reader.next()? {
            let written = Written::decode(&body).filter(|_| kind == LETTER);
            if let Some(written) = written.filter(|written| self.fold.is_there(at.segment, written.id))
                && let Ok(letter) = DeadLetter::decode(written.letter)
                && !visit(at, &written, letter)
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
        let rolls = self.log.must_roll(usize::try_from(bytes).unwrap_or(usize::MAX));
        if rolls {
            self.roll(reserved, bytes)?;
        }
        self.put(frame)?;
        if rolls { self.carry() } else { Ok(()) }
    }

    fn put(&mut self, frame: Frame<'_>) -> Result<(), AppendError> {
        for at in self.log.append(&[frame])? {
            self.fold.apply(at, frame);
        }
        Ok(())
    }

    /// Takes letters along of the segments that the next roll drops. Durable before that.
    fn carry(&mut self) -> Result<(), AppendError> {
        let taken = self.taken();
        for Taken { id, number, archived_ms, letter } in &taken {
            let body = Written { id: *id, number: *number, archived_ms: *archived_ms, letter }.encode();
            let frame = Frame { kind: LETTER, body: &body };
            if self.log.must_roll(usize::try_from(frame.framed()).unwrap_or(usize::MAX)) {
                break;
            }
            self.put(frame)?;
        }
        if taken.is_empty() {
            return Ok(());
        }
        kill_point::reach(KillPoint::LettersCarried);
        self.log.sync_now()
    }

    /// What of them is to be taken along. What cannot be read goes with its segment, as it would have.
    fn taken(&self) -> Vec<Taken> {
        let Some(end) = self.endangered() else { return Vec::new() };
        // The time of the letter that has begun the segment.
        let now_ms = self.fold.segments.values().map(|held| held.newest_ms).max().unwrap_or(0);
        let is_young = |written: &Written<'_>| !self.is_too_old(written.archived_ms, now_ms);
        let mut carrying = Carrying::new(self.log.max_append());
        let visited = self.visit(Location::START, &mut |at, written, letter| {
            let is_in = at.segment < end;
            if is_in && is_young(written) {
                carrying.weigh(&letter.metadata, written.letter.len());
            }
            is_in
        });
        let taken = visited.and_then(|()| {
            let mut chosen = carrying.choose();
            self.visit(Location::START, &mut |at, written, letter| {
                let goes_on = at.segment < end && !chosen.is_empty();
                if goes_on && is_young(written) {
                    chosen.offer(&letter.metadata, written);
                }
                goes_on
            })?;
            Ok(chosen.taken)
        });
        taken.inspect_err(|error| tracing::warn!("old dead letters cannot be read: {error}")).unwrap_or_default()
    }

    /// The end of the segments that the next one needs the room of; none, when there is room.
    fn endangered(&self) -> Option<u64> {
        let snapshot = self.fold.encode_snapshot();
        let next = self.log.segment_for(Frame { kind: SNAPSHOT, body: &snapshot });
        let (first, active) = (self.log.first_segment(), self.log.active_segment());
        // This one will be full by then, and another is kept free for marks.
        let wanted = self.log.bytes().saturating_add(2 * next).saturating_sub(self.max_bytes);
        (first..active).map(|segment| segment + 1).find(|end| wanted > 0 && self.log.bytes_in(first..*end) >= wanted)
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
                    self.drop_segment(first);
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
            if !self.drop_segment(first) {
                break;
            }
        }
    }

    fn drop_segment(&mut self, segment: u64) -> bool {
        let left = self.fold.segments.get(&segment).map_or(0, |held| self.fold.left_in(held));
        self.counters.dead_letters_dropped.add(left);
        if left > 0 {
            tracing::warn!(letters = left, "the oldest dead letters are dropped: too old, or too many");
        }
        self.fold.forget(segment);
        // It costs space only, and is tried again with the next.
        let removed = self.log.remove_below(segment + 1);
        removed.inspect_err(|error| tracing::warn!("dead letters cannot be removed: {error}")).is_ok()
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
