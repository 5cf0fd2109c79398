//! Damaged bytes, put aside: whoever wants to know what they were can look, and nobody has to decide at start.

use std::io;
use std::ops::Range;

use super::disk::{Disk, DiskFile};
use super::error::OpenError;
use super::folder::Folder;
use super::recovery::Quarantined;

const PIECE: usize = 64 << 10;

/// Copies a stretch of a segment beside the log. What an earlier recovery copied is not copied again, so that a crash in
/// between changes nothing. A disk without space for the copy does not keep the gateway from starting: the damage is
/// reported all the same, and stays where it is.
pub fn quarantine<D: Disk>(
    folder: &Folder<D>,
    segment: u64,
    range: Range<u64>,
    was_durable: bool,
) -> Result<Quarantined, OpenError> {
    let to = folder.quarantined(segment, range.start);
    let mut found = Quarantined {
        segment,
        offset: range.start,
        bytes: range.end - range.start,
        file: Some(to.clone()),
        known: folder.disk.open(&to).is_ok(),
        was_durable,
    };
    if found.known {
        return Ok(found);
    }
    let path = folder.segment(segment);
    let from = folder.disk.open(&path).map_err(OpenError::at(&path))?;
    let copied = folder.prepare(to.clone(), |to| copy(&from, to, range)).and_then(|new| folder.publish(new));
    match copied {
        Err(error) if is_full(&error) => found.file = None,
        copied => drop(copied.map_err(OpenError::at(&to))?),
    }
    Ok(found)
}

pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// What there is of it: a file that was cut has less.
fn copy<F: DiskFile>(from: &F, to: &F, range: Range<u64>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut at = range.start;
    while at < range.end {
        let want = usize::try_from(range.end - at).unwrap_or(PIECE).min(PIECE);
        let read = from.read_at(piece.get_mut(..want).unwrap_or_default(), at)?;
        if read == 0 {
            break;
        }
        to.write_at(piece.get(..read).unwrap_or_default(), at - range.start)?;
        at += read as u64;
    }
    Ok(())
}
