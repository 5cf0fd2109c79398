//! From a folder to a log: who we are, what is intact, what is not.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::checkpoint::{Checkpoint, examine};
use super::disk::{Disk, DiskFile};
use super::error::OpenError;
use super::extents::Extents;
use super::folder::Folder;
use super::format::{Frame, HEADER_BYTES, Header, HeaderError, Location};
use super::quarantine::quarantine;
use super::segment::Clues;
use super::tear::torn_from;
use crate::base::kill_point::{self, KillPoint};

/// What `open` found.
#[derive(Debug, Default)]
pub struct Recovery {
    pub segments: u64,
    pub frames: u64,
    /// Never promised to anybody.
    pub torn_tail_bytes: u64,
    pub quarantined: Vec<Quarantined>,
    /// Where writes begin that are torn, one in a segment at most: what is missing in them was never synced.
    pub torn: Vec<Location>,
    /// Damaged stretches beyond those that are listed, and their bytes.
    pub unlisted: u64,
    pub unlisted_bytes: u64,
    /// Segments that are not there although one before and one after them are.
    pub missing: Vec<Range<u64>>,
    /// The oldest segment that is left; 0 when there is none.
    pub first_segment: u64,
    pub checkpoint: Option<Checkpoint>,
    /// Checkpoints that are not whole.
    pub damaged_checkpoints: u64,
    pub took: Duration,
}

/// A stretch that does not verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    pub segment: u64,
    pub offset: u64,
    pub bytes: u64,
    /// Where its bytes were copied to; none when the disk had no space.
    pub file: Option<PathBuf>,
    /// An earlier recovery found and reported it already: do not count it again.
    pub known: bool,
    /// The log can prove that it was on the medium once: frames that had been promised are lost. Otherwise it may be
    /// (and after a power cut nearly always is) the torn middle of a group that nobody had been promised.
    pub was_durable: bool,
}

/// What the writer goes on from.
pub struct Recovered {
    pub id: u128,
    /// Segment to the length of its file.
    pub sizes: BTreeMap<u64, u64>,
    pub extents: Extents,
    /// End and durable part of the last segment.
    pub last: (u64, u64),
    pub checkpoints: Vec<Checkpoint>,
}

pub fn recover<D: Disk>(
    folder: &Folder<D>,
    visit: &mut dyn FnMut(Location, Frame<'_>),
) -> Result<(Recovered, Recovery), OpenError> {
    let started = Instant::now();
    let segments = folder.segments()?;
    let mut headers = Vec::with_capacity(segments.len());
    for segment in &segments {
        headers.push(header(folder, &folder.segment(*segment))?);
    }
    let id = identity(folder, &headers)?;
    let checkpoints = examine(folder, id)?;
    let checkpoint = checkpoints.show(folder, id, visit)?;
    let mut recovered = Recovered {
        id,
        sizes: BTreeMap::new(),
        extents: Extents::default(),
        last: (HEADER_BYTES, HEADER_BYTES),
        checkpoints: Vec::new(),
    };
    let mut recovery = Recovery {
        segments: segments.len() as u64,
        missing: gaps(&segments, checkpoint),
        first_segment: segments.first().copied().unwrap_or(0),
        checkpoint,
        damaged_checkpoints: checkpoints.damage.len() as u64,
        ..Recovery::default()
    };
    for (path, offset, bytes) in &checkpoints.damage {
        tracing::error!(file = %path.display(), offset, bytes, "a checkpoint of the spool is damaged");
    }
    recovered.checkpoints = checkpoints.all;
    for clues in clues(&segments, &headers, id, checkpoint) {
        recover_segment(folder, &clues, &mut recovered, &mut recovery, visit)?;
    }
    recovery.took = started.elapsed();
    Ok((recovered, recovery))
}

fn recover_segment<D: Disk>(
    folder: &Folder<D>,
    clues: &Clues,
    recovered: &mut Recovered,
    recovery: &mut Recovery,
    visit: &mut dyn FnMut(Location, Frame<'_>),
) -> Result<(), OpenError> {
    kill_point::reach(KillPoint::Recovering);
    let walked = clues.walk(folder, recovered.id, visit)?;
    let torn = torn_from(folder, clues.segment, &walked)?;
    recovery.torn.extend(torn.map(|offset| Location { segment: clues.segment, offset }));
    for range in walked.damage {
        let was_durable = range.start < walked.synced;
        recovery.quarantined.push(quarantine(folder, clues.segment, range, was_durable)?);
    }
    recovery.frames += walked.frames;
    recovery.torn_tail_bytes += walked.torn;
    recovery.unlisted += walked.more.0;
    recovery.unlisted_bytes += walked.more.1;
    recovered.sizes.insert(clues.segment, walked.size);
    recovered.extents.set(clues.segment, walked.end);
    recovered.last = (walked.end, walked.synced.min(walked.end));
    Ok(())
}

/// `None` when it is damaged; another format is an error.
pub fn header<D: Disk>(folder: &Folder<D>, path: &Path) -> Result<Option<Header>, OpenError> {
    let file = folder.disk.open(path).map_err(OpenError::at(path))?;
    let mut bytes = [0; HEADER_BYTES as usize];
    let read = file.read_at(&mut bytes, 0).map_err(OpenError::at(path))?;
    match Header::decode(bytes.get(..read).unwrap_or_default()) {
        Ok(header) => Ok(Some(header)),
        Err(HeaderError::Damaged) => Ok(None),
        Err(HeaderError::Version(found)) => Err(OpenError::Version { file: path.to_path_buf(), found }),
    }
}

/// The id from its own file; from a segment when that is damaged; a new one for a new spool. If all of them are damaged
/// nothing verifies under a new id, and everything goes to quarantine the usual way.
fn identity<D: Disk>(folder: &Folder<D>, headers: &[Option<Header>]) -> Result<u128, OpenError> {
    let path = folder.identity();
    let known = match header(folder, &path) {
        Err(OpenError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
        known => known?,
    };
    if let Some(known) = known {
        return Ok(known.id);
    }
    let id = match headers.iter().flatten().next() {
        Some(header) => header.id,
        None => folder.disk.random().map_err(OpenError::at(&path))?,
    };
    let header = Header { id, segment: 0, capacity: HEADER_BYTES, previous_end: 0, previous_synced: 0 };
    let write = |file: &D::File| file.write_at(&header.encode(), 0);
    folder.prepare(path.clone(), write).and_then(|new| folder.publish(new)).map_err(OpenError::at(&path))?;
    Ok(id)
}

/// Segments that must have been there: between two others, or between the last one and what a checkpoint has seen.
pub fn gaps(segments: &[u64], checkpoint: Option<Checkpoint>) -> Vec<Range<u64>> {
    let seen = checkpoint.map(|one| one.place.segment.saturating_add(1));
    let after_last = seen.map(|seen| (segments.last().copied().unwrap_or(seen.saturating_sub(2)), seen));
    let pairs = segments.iter().copied().zip(segments.iter().copied().skip(1)).chain(after_last);
    pairs.map(|(before, after)| before.saturating_add(1)..after).filter(|gap| !gap.is_empty()).collect()
}

pub fn clues(segments: &[u64], headers: &[Option<Header>], id: u128, checkpoint: Option<Checkpoint>) -> Vec<Clues> {
    let mut next: Option<(u64, Option<Header>)> = None;
    let mut clues = Vec::with_capacity(segments.len());
    for (&segment, header) in segments.iter().zip(headers).rev() {
        let header = header.filter(|header| header.id == id && header.segment == segment);
        let told = next.filter(|(number, _)| number - 1 == segment).and_then(|(_, header)| header);
        let told = told.map(|header| (header.previous_end, header.previous_synced));
        let seen = checkpoint.filter(|one| one.place.segment == segment).map_or(0, |one| one.place.offset);
        clues.push(Clues { segment, header, told, seen, last: next.is_none(), settle: true });
        next = Some((segment, header));
    }
    clues.reverse();
    clues
}
