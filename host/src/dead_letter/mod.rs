//! Dead letters: what a plugin failed on, kept until somebody has looked at it.
//!
//! ```text
//!  route ─── one record with everything else that the input caused ──▶ spool, line `$dead-letters`
//!                                                                        │
//!       operator ── requeue, purge ──▶ archive ◀── append, sync ── archiver
//!                                        │                             ▲
//!                                        └── marked ──▶ archiver ─────┘ through its binding once more
//! ```
//!
//! - **As safe as the ack.** A letter is an output of its input's record: either both are durable or neither is.
//! - **Pins nothing.** The archiver moves letters out of the spool at once, into a log of their own with bounds of its own;
//!   a thousand bad readings must not hold up the good ones.
//! - **Once.** The archive knows the number in the spool of the last letter that it took. A crash between "archived" and
//!   "done in the spool" makes no second copy.
//! - **Again.** What is requeued is marked in the archive first, by a running gateway or without one, and goes through the
//!   chain of its binding alone. It is removed when the record of that is durable; a crash in between sends it twice.
//! - **Readable by anybody.** Commands read the files; no gateway is needed, and a running one is not disturbed.
//!
//! The copy on the local bus (`dead_letter_topic`) stays: it is the live view, this is the memory.

mod archive;
mod carry;
mod filter;
mod fold;
mod handle;
mod letter;
#[cfg(test)]
mod tests;
mod view;

pub use archive::{Archive, ArchiveError, Filed};
pub use filter::Filter;
pub use handle::ArchiveHandle;
pub use letter::{DeadLetter, DeadLetterError, Metadata};
pub use view::View;

/// The name under which the spool knows the archive. Not a name that the configuration allows for an upstream.
pub use crate::spool::DEAD_LETTERS;

/// The folder of the archive, in the data folder.
pub const FOLDER: &str = "dead-letters";
