//! Looking without touching: no lock, no quarantine, nothing synced. On a log that is being written as well as on one that rests.
//!
//! Sound beside a writer, because a frame is there when its checks say so and not before, segments appear under their name
//! only when they are whole, and one that is removed meanwhile was done.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::checkpoint::{Checkpoint, examine};
use super::disk::os::OsDisk;
use super::disk::{Disk, DiskFile};
use super::error::OpenError;
use super::folder::Folder;
use super::format::{Frame, HEADER_BYTES, Header, HeaderError, Location};
use super::recovery::{clues, gaps, header};

/// Checkpoints are written minutes apart.
const ATTEMPTS: usize = 3;

/// What there is to say about the files.
#[derive(Debug, Default)]
pub struct Found {
    pub segments: u64,
    pub frames: u64,
    /// Of the segments, as they take space.
    pub bytes: u64,
    /// File, offset and length of what does not verify.
    pub damage: Vec<(PathBuf, u64, u64)>,
    /// Damaged stretches beyond those.
    pub more_damage: u64,
    /// Segments that are not there although one before and one after them are.
    pub missing: u64,
    /// The oldest segment that is left; 0 when there is none.
    pub first_segment: u64,
    pub checkpoint: Option<Checkpoint>,
    /// Unfinished at the end of the last segment: never promised to anybody.
    pub torn_bytes: u64,
    /// Files in `quarantine`, and their bytes.
    pub quarantined: (u64, u64),
}

/// The identity of the log in this folder, if there is one.
pub fn identity(dir: &Path) -> Result<Option<u128>, OpenError> {
    let path = Folder::at(OsDisk, dir).identity();
    match header(&Folder::at(OsDisk, dir), &path) {
        Err(OpenError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        found => found.map(|header| header.map(|header| header.id)),
    }
}

/// Shows every intact frame, in order. `progress` hears of each segment: which, and of how many.
pub fn inspect(
    dir: &Path,
    progress: &mut dyn FnMut(u64, u64),
    visit: &mut dyn FnMut(Location, Frame<'_>),
) -> Result<Found, OpenError> {
    let folder = Folder::at(OsDisk, dir);
    let (mut segments, mut headers) = (Vec::new(), Vec::new());
    for segment in unless_gone(folder.segments())?.unwrap_or_default() {
        if let Some(header) = unless_gone(header(&folder, &folder.segment(segment)))? {
            segments.push(segment);
            headers.push(header);
        }
    }
    let mut found = Found { first_segment: segments.first().copied().unwrap_or(0), ..Found::default() };
    found.quarantined = quarantined(&folder, &mut found)?;
    let Some(id) = known_id(dir, &headers)? else { return Ok(found) };
    // After the segments: beside a running gateway, whatever is removed meanwhile is in it.
    let checkpoint = found.show_checkpoint(&folder, id, visit)?;
    found.missing = gaps(&segments, checkpoint).iter().map(|gap| gap.end - gap.start).sum();
    let all = segments.len() as u64;
    for clues in clues(&segments, &headers, id, checkpoint) {
        progress(found.segments, all);
        let clues = super::segment::Clues { settle: false, ..clues };
        let Some(walked) = unless_gone(clues.walk(&folder, id, visit))? else { continue };
        let path = folder.segment(clues.segment);
        found.segments += 1;
        found.frames += walked.frames;
        found.bytes += walked.size;
        found.torn_bytes += walked.torn;
        found.more_damage += walked.more.0;
        found
            .damage
            .extend(walked.damage.into_iter().map(|range| (path.clone(), range.start, range.end - range.start)));
    }
    Ok(found)
}

// === impl Found ===

impl Found {
    fn show_checkpoint(
        &mut self,
        folder: &Folder<OsDisk>,
        id: u128,
        visit: &mut dyn FnMut(Location, Frame<'_>),
    ) -> Result<Option<Checkpoint>, OpenError> {
        // One that is replaced while it is read is read again, as the one that replaced it.
        for _ in 0..ATTEMPTS {
            let checkpoints = unless_gone(examine(folder, id))?;
            let Some(checkpoints) = checkpoints else { continue };
            if let Some(shown) = unless_gone(checkpoints.show(folder, id, visit))? {
                self.damage.extend(checkpoints.damage);
                self.checkpoint = shown;
                break;
            }
        }
        Ok(self.checkpoint)
    }
}

/// From its own file, or from any segment.
fn known_id(dir: &Path, headers: &[Option<Header>]) -> Result<Option<u128>, OpenError> {
    Ok(identity(dir)?.or_else(|| headers.iter().flatten().next().map(|header| header.id)))
}

/// Files and bytes that earlier recoveries put aside; and whether the identity itself is whole.
fn quarantined(folder: &Folder<OsDisk>, found: &mut Found) -> Result<(u64, u64), OpenError> {
    let path = folder.identity();
    if let Some(file) = unless_gone(folder.disk.open(&path).map_err(OpenError::at(&path)))? {
        let mut bytes = [0; HEADER_BYTES as usize];
        let read = file.read_at(&mut bytes, 0).map_err(OpenError::at(&path))?;
        if Header::decode(bytes.get(..read).unwrap_or_default()) == Err(HeaderError::Damaged) {
            found.damage.push((path, 0, HEADER_BYTES));
        }
    }
    let dir = folder.quarantine();
    let names = unless_gone(folder.disk.names(&dir).map_err(OpenError::at(&dir)))?.unwrap_or_default();
    let size = |name: &String| folder.disk.open(&dir.join(name)).and_then(|file| file.size()).unwrap_or(0);
    Ok((names.len() as u64, names.iter().map(size).sum()))
}

fn unless_gone<T>(result: Result<T, OpenError>) -> Result<Option<T>, OpenError> {
    match result {
        Err(OpenError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}
