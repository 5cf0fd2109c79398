//! Which checkpoint holds, and what it says.

use std::path::PathBuf;

use super::super::disk::{Disk, DiskFile};
use super::super::error::OpenError;
use super::super::folder::Folder;
use super::super::format::{Frame, HEADER_BYTES, Header, Location, Salt};
use super::super::recovery::header;
use super::super::scan::{Piece, Scan};
use super::{CHECKPOINT, Checkpoint, END, encode_place};

/// What there is, newest first.
#[derive(Debug, Default)]
pub struct Checkpoints {
    pub all: Vec<Checkpoint>,
    /// File, offset and length of what does not verify in them.
    pub damage: Vec<(PathBuf, u64, u64)>,
}

/// How far a file can be believed.
struct Walk {
    frames: u64,
    end: u64,
    /// What the End says, when it is the last thing in the file.
    told: Option<u64>,
    damage: Option<(u64, u64)>,
}

/// Reads each file once, without showing it.
pub fn examine<D: Disk>(folder: &Folder<D>, id: u128) -> Result<Checkpoints, OpenError> {
    let mut found = Checkpoints::default();
    for number in folder.checkpoints()?.into_iter().rev() {
        let path = folder.checkpoint(number);
        let header = match header(folder, &path) {
            // Beside a running gateway: there is a newer one.
            Err(OpenError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => continue,
            header => header?.filter(|header| header.id == id && header.previous_end == number),
        };
        let walk = walk(folder, id, number, &mut |_| ())?;
        let place = header.map_or(Location::START, place);
        let damage = if header.is_none() { Some((0, HEADER_BYTES)) } else { walk.damage };
        let is_whole = damage.is_none() && walk.told == Some(walk.frames);
        if !is_whole {
            let (offset, length) = damage.unwrap_or((walk.end, 0));
            found.damage.push((path, offset, length));
        }
        found.all.push(Checkpoint { number, place, bytes: walk.end, is_whole });
    }
    Ok(found)
}

fn place(header: Header) -> Location {
    Location { segment: header.segment, offset: header.capacity }
}

/// Every frame that verifies, in order.
fn walk<D: Disk>(
    folder: &Folder<D>,
    id: u128,
    number: u64,
    visit: &mut dyn FnMut(Frame<'_>),
) -> Result<Walk, OpenError> {
    let path = folder.checkpoint(number);
    let file = folder.disk.open(&path).map_err(OpenError::at(&path))?;
    let size = file.size().map_err(OpenError::at(&path))?;
    let mut scan = Scan::new(file, Salt::new(id, !number), HEADER_BYTES, size);
    let mut walk = Walk { frames: 0, end: HEADER_BYTES.min(size), told: None, damage: None };
    while let Some(piece) = scan.next().map_err(OpenError::at(&path))? {
        match piece {
            Piece::Frame { kind: END, body, offset, .. } => {
                walk.told = body.try_into().ok().map(u64::from_le_bytes);
                walk.end = offset + Frame { kind: END, body }.framed();
            }
            Piece::Frame { kind, body, offset, .. } => {
                let frame = Frame { kind, body };
                visit(frame);
                walk.frames += 1;
                walk.end = offset + frame.framed();
            }
            Piece::Damage { range, .. } => {
                walk.damage.get_or_insert((range.start, range.end - range.start));
            }
        }
    }
    Ok(walk)
}

// === impl Checkpoints ===

impl Checkpoints {
    /// The newest that is whole; else the newest: a part is more than nothing, and the damage is told.
    pub fn best(&self) -> Option<Checkpoint> {
        self.all.iter().find(|one| one.is_whole).or(self.all.first()).copied()
    }

    /// Shows it, first its place. Of one that is not whole that is the start: what the log says of a key holds, and the part
    /// speaks for the others. Every frame of it stands at segment 0, which no segment has.
    pub fn show<D: Disk>(
        &self,
        folder: &Folder<D>,
        id: u128,
        visit: &mut dyn FnMut(Location, Frame<'_>),
    ) -> Result<Option<Checkpoint>, OpenError> {
        let Some(best) = self.best() else { return Ok(None) };
        let place = if best.is_whole { best.place } else { Location::START };
        visit(Location::START, Frame { kind: CHECKPOINT, body: &encode_place(place) });
        walk(folder, id, best.number, &mut |frame| visit(Location::START, frame))?;
        Ok(Some(best))
    }
}
