//! A checkpoint: what all frames below one place mean, in a file of its own, so that the segments below it may go.
//!
//! ```text
//! checkpoint-<20 digits>.state          Header, Frame*, the last one an End
//!
//! Header   as of a segment: `segment` and `capacity` are segment and offset of the place, `previous_end` is the number in the name
//! Frame    as in a segment, salted with the number's complement, which no segment ever has
//! End      kind END, body: count of the frames before it, u64
//! ```
//!
//! - **Written beside the log**, a piece at a time, on any thread: `*.new`, synced, renamed, the folder synced. It holds when its name is
//!   durable, and not before.
//! - **Whole or not at all.** A file without its End, or with one frame that does not verify, is damaged: the one before it is taken,
//!   and the log is read from that one's place on. The writer of the log says how long segments are kept for that.
//! - **Any size.** No frame is larger than a piece, so that neither writer nor reader holds more than one.
//! - The place is also a witness: the log reached as far once, so that a segment that is missing or shorter there has lost something.

mod read;
mod writer;

pub use self::read::examine;
pub use self::writer::CheckpointWriter;

use super::format::Location;

/// Shown before the frames of a checkpoint: its body says the place ([`decode_place`]).
pub const CHECKPOINT: u8 = 0;
/// The last frame of the file, not shown.
const END: u8 = u8::MAX;

/// One that is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub number: u64,
    /// It stands for all frames below.
    pub place: Location,
    pub bytes: u64,
    /// Every frame verifies, and the last one is there.
    pub is_whole: bool,
}

fn encode_place(place: Location) -> [u8; 16] {
    let mut body = [0; 16];
    body[..8].copy_from_slice(&place.segment.to_le_bytes());
    body[8..].copy_from_slice(&place.offset.to_le_bytes());
    body
}

/// The place of a checkpoint from the frame that is shown before it.
pub fn decode_place(body: &[u8]) -> Option<Location> {
    let (segment, rest) = body.split_first_chunk()?;
    let (offset, _) = rest.split_first_chunk()?;
    Some(Location { segment: u64::from_le_bytes(*segment), offset: u64::from_le_bytes(*offset) })
}
