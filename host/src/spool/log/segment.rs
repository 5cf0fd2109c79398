//! One segment, as recovery finds it.

use std::io;
use std::ops::Range;
use std::path::Path;

use super::disk::{Disk, DiskFile};
use super::error::OpenError;
use super::folder::Folder;
use super::format::{Frame, HEADER_BYTES, Header, Location, Salt};
use super::scan::{Piece, Scan};

/// What is known about a segment before its frames are read.
pub struct Clues {
    pub segment: u64,
    /// Its own header, when it verifies and is of this spool.
    pub header: Option<Header>,
    /// What the next segment's header says about this one: where it ends, and how much of that was durable.
    pub told: Option<(u64, u64)>,
    /// A checkpoint has seen it written and durable up to here; 0 when none has.
    pub seen: u64,
    /// No segment follows: this one may have been written to when the crash came.
    pub last: bool,
    /// Whether what is shown has to be on the medium. For recovery; not for somebody who looks on.
    pub settle: bool,
}

/// What its frames said.
#[derive(Debug, Default)]
pub struct Walked {
    pub frames: u64,
    /// Where the next frame would have gone.
    pub end: u64,
    /// Below it everything was durable once.
    pub synced: u64,
    /// Length of the file.
    pub size: u64,
    pub torn: u64,
    pub damage: Vec<Range<u64>>,
    /// Stretches that were not kept in `damage`, and their bytes.
    pub more: (u64, u64),
}

/// Damaged stretches that are listed and copied one by one, for each segment. A segment with more is rubble, and its
/// further stretches are counted only: a list must end somewhere.
const MAX_LISTED: usize = 256;

// === impl Clues ===

impl Clues {
    /// Shows every intact frame to `visit`, in order.
    pub fn walk<D: Disk>(
        &self,
        folder: &Folder<D>,
        id: u128,
        visit: &mut dyn FnMut(Location, Frame<'_>),
    ) -> Result<Walked, OpenError> {
        let path = folder.segment(self.segment);
        let (file, size) = self.open(&folder.disk, &path).map_err(OpenError::at(&path))?;
        let limit = self.told.map_or(size, |(end, _)| end.min(size));
        // A segment has its name only when its header is durable: that can be missing, but never by a crash of ours.
        let synced = self.told.map_or(0, |(_, synced)| synced).max(self.seen).max(HEADER_BYTES);
        let mut walked = Walked { end: HEADER_BYTES, synced, size, ..Walked::default() };
        if self.header.is_none() {
            walked.damaged(0..HEADER_BYTES);
        }
        let mut scan = Scan::new(file, Salt::new(id, self.segment), HEADER_BYTES, limit);
        let mut written = HEADER_BYTES;
        while let Some(piece) = scan.next().map_err(OpenError::at(&path))? {
            match piece {
                Piece::Frame { offset, kind, body, unsynced } => {
                    let frame = Frame { kind, body };
                    visit(Location { segment: self.segment, offset }, frame);
                    walked.frame(offset, frame.framed(), unsynced);
                }
                Piece::Damage { written: up_to, .. } => written = up_to,
            }
        }
        self.judge_tail(&mut walked, written);
        Ok(walked)
    }

    fn open<D: Disk>(&self, disk: &D, path: &Path) -> io::Result<(D::File, u64)> {
        let file = disk.open(path)?;
        if self.last && self.settle {
            // A process that was killed leaves frames in the page cache only, and one whose sync failed leaves some there
            // that will never be written. What is shown from here on must be on the medium.
            file.sync_data().and_then(|()| file.forget_cache())?;
        }
        let size = file.size()?;
        Ok((file, size))
    }

    /// What follows the last intact frame, `written` with something up to there.
    fn judge_tail(&self, walked: &mut Walked, written: u64) {
        match (self.told, self.header) {
            (Some((end, _)), _) => walked.damaged(walked.end..end),
            // Preallocated, synced, and shorter now: no tear does that.
            (None, Some(header)) if self.last && walked.size < header.capacity => {
                walked.damaged(walked.end..header.capacity);
            }
            (None, Some(_)) if self.last && walked.end >= self.seen => walked.torn = written.saturating_sub(walked.end),
            (None, _) => walked.damaged(walked.end..written.max(self.seen)),
        }
    }
}

// === impl Walked ===

impl Walked {
    /// An intact frame: whatever lies between it and the one before is damage.
    fn frame(&mut self, offset: u64, framed: u64, unsynced: u64) {
        self.frames += 1;
        self.synced = self.synced.max(offset.saturating_sub(unsynced));
        self.damaged(self.end..offset);
        self.end = offset + framed;
    }

    fn damaged(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        if self.damage.len() < MAX_LISTED {
            self.damage.push(range);
        } else {
            self.more.0 += 1;
            self.more.1 += range.end - range.start;
        }
    }
}
