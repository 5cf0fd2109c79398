//! The segment log: frames in, frames out, nothing that was promised ever lost. It does not know what a frame means.
//!
//! # Constraints
//! - `append` answers `Ok` only when the frames are on the medium (by the level of `config::Sync`); a power cut at any
//!   instruction leaves every promised frame readable, once and in order.
//! - One flipped bit costs the frame that it hits, is always reported, and never yields a wrong body.
//! - A full disk is foreseen, not suffered: space is taken a segment at a time, before it is needed.
//! - Little memory: recovery and readers hold one window and the largest frame, never a segment, and nothing is mapped.
//! - A restart must be able to believe what it reads: recovery first makes durable what it is going to show.
//!
//! # Format, version 1 (little-endian)
//! ```text
//! folder:   lock                          pid of the process that holds it (flock)
//!           identity                      a Header with segment = 0: the spool's id, once more than in each segment
//!           segment-<20 digits>.log       Header, Frame*, zeros up to the capacity
//!           checkpoint-<20 digits>.state  what the frames below one place mean, by the caller (`checkpoint`)
//!           reserve                       space that a full file system gives back for bookkeeping
//!           quarantine/segment-N-O.bin    the damaged bytes of segment N from offset O on
//!           *.new                         not finished; deleted at open
//!
//! struct Header {                   // 64 bytes; its first 16 bytes and what `check` covers stay the same in all versions
//!     magic: [u8; 8],               // "tidelog\0"
//!     version: u32,                 // another version is refused by name
//!     check: u32,                   // of all the rest of the header
//!     id: u128,                     // random, one for each spool: a foreign or recycled segment never verifies
//!     segment: u64,                 // from 1, rises by one, never reused
//!     capacity: u64,                // length of the file as preallocated: a shorter last segment has lost its end
//!     previous_end: u64,            // where the frames of the segment before this one end
//!     previous_synced: u64,         // what of them is known to have been durable
//! }
//! struct Frame {                    // 8-aligned, so that a reader finds its way again after damage
//!     marker: u32,
//!     check: u32,                   // of (id, segment, offset) and the fields below
//!     body_check: u32,              // of (id, segment, offset) and the body
//!     length: u32,                  // of the body; at most MAX_BODY_BYTES, and never past the end: checked before allocation
//!     unsynced: u32,                // distance / 8 back to the last byte known durable when this was written
//!     kind: u8, zero: [u8; 3],
//!     body: [u8; length],           // padded with zeros to 8
//! }
//! ```
//! Checks are CRC-32 (`crc32fast`): in the tree already, with SIMD on x86 and aarch64 and fast tables on armv7. CRC-32C
//! would need one more dependency and finds no more of what is looked for here. Two checks, because a header that can be
//! believed without its body tells how far the damage goes, and because who writes the bodies (any device) cannot forge
//! a header inside one: the salt holds the spool's random id.
//!
//! # Writing
//! A group of frames is one `pwrite` into preallocated zeros and one `fdatasync`. A write or sync that fails poisons the log: the
//! kernel drops what it could not write and calls the pages clean, so that a retried sync succeeds falsely. A new file is
//! written and synced as `*.new`, renamed, and the folder synced; only then is it used, and only then is the file before
//! it cut to its length. **After `open` the log wants a [`Log::roll`] before the first [`Log::append`]:** a segment that a
//! crash has touched is never written again. An ordinary roll leaves one segment of `max_bytes` free; only
//! [`Log::roll_reserved`] uses that, for the bookkeeping that lets a full log drain.
//!
//! # Reading
//! A [`Reader`] has its own file handle and follows the writer up to the end that is durable, through rolls. Where
//! bytes do not verify it goes on at the next frame that does, exactly as recovery did.
//!
//! # Deleting
//! Whole segments, oldest first, the folder synced after each: a gap in the numbers is therefore damage, never our doing.
//! The caller's cursor must be durable before.
//!
//! # Recovering
//! Recovery writes to no segment, so that it can crash and run again. It syncs and drops the cached pages of the last
//! segment before it reads (what a killed process left in the page cache is made durable or is gone), then shows each
//! intact frame in order. What does not verify after the last intact frame of the last segment is a **torn tail**, never
//! promised to anybody: the next roll cuts it. Anything else is **quarantined**: copied beside the log, reported, left
//! where it is. Bit rot in the last frames of all cannot be told from a tear; it is reported as one. Of what is quarantined, the
//! torn middle of the last write is known as one (`tear`), and nothing in it counts as lost.
//!
//! # Not here
//! No index, no compaction, no key: the queue state above knows what a record is, which are done, and what a snapshot holds.
//! A medium that answers a read with an error ends `open` with the file's name: skipping what may be readable tomorrow
//! would be the loss that this room is there to prevent.

mod checkpoint;
mod disk;
mod error;
mod extents;
mod folder;
mod format;
mod inspect;
mod options;
mod quarantine;
mod reader;
mod recovery;
mod reserve;
mod roll;
mod scan;
mod segment;
mod tear;
mod writer;

pub use self::checkpoint::{CHECKPOINT, Checkpoint, CheckpointWriter, decode_place};
pub use self::disk::os::OsDisk;
#[cfg(test)]
pub use self::disk::sim;
pub use self::disk::{Disk, DiskFile, LockError};
pub use self::error::{AppendError, OpenError, Shortage};
pub use self::format::{FRAME_BYTES, Frame, Location, MAX_BODY_BYTES};
pub use self::inspect::{Found, identity, inspect};
pub use self::options::Options;
pub use self::quarantine::is_full;
pub use self::reader::Reader;
pub use self::recovery::{Quarantined, Recovery};
pub use self::writer::Log;

#[cfg(test)]
mod tests;
