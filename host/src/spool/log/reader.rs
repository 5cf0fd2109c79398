//! The reading side: behind the writer, at its own pace, in another thread.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::Disk;
use super::extents::{Extent, Extents};
use super::folder::Folder;
use super::format::{HEADER_BYTES, Location, Salt};
use super::scan::{Piece, Scan};

/// Reads durable frames in order. At the end it answers `None`, and more when there is more.
pub struct Reader<D: Disk> {
    folder: Folder<D>,
    id: u128,
    extents: Arc<Extents>,
    at: Location,
    /// Of the segment in `at`, once it is open.
    scan: Option<Scan<D::File>>,
}

// === impl Reader ===

impl<D: Disk> Reader<D> {
    pub(super) fn new(folder: Folder<D>, id: u128, extents: Arc<Extents>, from: Location) -> Self {
        Self { folder, id, extents, at: from, scan: None }
    }

    /// Where the next frame is looked for.
    pub fn position(&self) -> Location {
        self.at
    }

    /// Goes on from another place.
    pub fn seek(&mut self, to: Location) {
        self.at = to;
        self.scan = None;
    }

    /// The next frame. Removed segments and damaged stretches are stepped over; after an error the same place is tried again.
    ///
    /// Not an `Iterator`: `None` is not the end, and an error is not an item.
    #[expect(clippy::should_implement_trait, reason = "see above")]
    pub fn next(&mut self) -> io::Result<Option<(Location, u8, Bytes)>> {
        while let Some(extent) = self.extents.at_or_after(self.at.segment) {
            if extent.segment != self.at.segment {
                self.go_to(extent.segment);
            }
            if self.at.offset >= extent.end {
                if extent.last {
                    return Ok(None);
                }
                self.go_to(extent.segment.saturating_add(1));
                continue;
            }
            if let Some(frame) = self.read(extent)? {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    fn go_to(&mut self, segment: u64) {
        self.at = Location { segment, offset: HEADER_BYTES };
        self.scan = None;
    }

    /// One piece of this segment: `None` for a damaged one.
    fn read(&mut self, extent: Extent) -> io::Result<Option<(Location, u8, Bytes)>> {
        if self.scan.is_none() {
            self.scan = self.open(extent)?;
        }
        let Some(scan) = self.scan.as_mut() else { return Ok(None) };
        scan.extend_to(extent.end);
        // A copy: a slice of the window would keep all of it alive for one small body.
        let piece = scan.next()?.map(|piece| match piece {
            Piece::Frame { offset, kind, body, .. } => Some((offset, kind, Bytes::copy_from_slice(body))),
            Piece::Damage { .. } => None,
        });
        self.at.offset = scan.at();
        let frame = piece.flatten();
        Ok(frame.map(|(offset, kind, body)| (Location { segment: extent.segment, offset }, kind, body)))
    }

    /// `None` when the segment was removed just now.
    fn open(&self, extent: Extent) -> io::Result<Option<Scan<D::File>>> {
        let salt = Salt::new(self.id, extent.segment);
        let from = self.at.offset.max(HEADER_BYTES);
        match self.folder.disk.open(&self.folder.segment(extent.segment)) {
            Err(_) if !self.extents.contains(extent.segment) => Ok(None),
            file => Ok(Some(Scan::new(file?, salt, from, extent.end))),
        }
    }
}
