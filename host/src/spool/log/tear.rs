//! Whether what does not verify is the torn middle of a write, which was promised to nobody.
//!
//! A power cut keeps any sectors of a write that was not synced yet. The others are as they were before, and that is blank: a segment is
//! written once, from front to back. So damage behind all that is known to be durable, with a blank sector in it, is a tear. A bit that
//! has flipped leaves no blank sector, and stays a loss. So does all that is missing in a segment with other damage: it cannot be told
//! apart by what comes behind it, and is said too often rather than not at all.

use std::io;
use std::ops::Range;

use super::disk::{Disk, DiskFile};
use super::error::OpenError;
use super::folder::Folder;
use super::segment::Walked;

/// What a disk writes whole, at least.
const SECTOR: u64 = 512;

/// Where the torn write begins, when all damage of the segment is a tear.
pub fn torn_from<D: Disk>(folder: &Folder<D>, segment: u64, walked: &Walked) -> Result<Option<u64>, OpenError> {
    let was_durable = walked.damage.iter().any(|range| range.start < walked.synced);
    let Some(first) = walked.damage.first().filter(|_| !was_durable && walked.more.0 == 0) else { return Ok(None) };
    let path = folder.segment(segment);
    let file = folder.disk.open(&path).map_err(OpenError::at(&path))?;
    for range in &walked.damage {
        if !has_blank_sector(&file, range).map_err(OpenError::at(&path))? {
            return Ok(None);
        }
    }
    Ok(Some(first.start))
}

/// Or the part of one that is in the range.
fn has_blank_sector<F: DiskFile>(file: &F, range: &Range<u64>) -> io::Result<bool> {
    let mut at = range.start;
    while at < range.end {
        let next = ((at / SECTOR + 1) * SECTOR).min(range.end);
        let mut bytes = [0; SECTOR as usize];
        let sector = bytes.get_mut(..(next - at) as usize).unwrap_or_default();
        // Of a file that is cut there is less, and no tear cuts it.
        if file.read_at(sector, at)? == sector.len() && sector.iter().all(|byte| *byte == 0) {
            return Ok(true);
        }
        at = next;
    }
    Ok(false)
}
