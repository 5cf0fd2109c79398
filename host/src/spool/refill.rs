//! Brings a backlog back into memory, a piece at a time, behind the senders' backs.
//!
//! It reads the log on a thread of its own: the committer must not be late for a new message because an old one is fetched,
//! and a sender must not wait for a disk. What it reads is durable and placed, because the queue state says how far it may go.

use std::sync::Arc;

use super::frame::{Outputs, has_outputs};
use super::log::{Disk, Frame, Location, Reader};
use super::upstream_queue::{Loaded, Want};
use super::wire::WireError;
use super::{Entry, Position, Shared};
use crate::base::name::Name;
use crate::base::timeline;

/// Read before the queue state is told: small enough that the first message of a backlog does not wait for the last.
const PIECE: usize = 1 << 20;

pub(super) struct Refill<D: Disk> {
    reader: Reader<D>,
    names: Vec<Arc<str>>,
}

/// How a turn went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refilled {
    /// There may be more to do now.
    Some,
    /// No line wants anything.
    Idle,
    /// What a line wants is not readable yet.
    Stuck,
}

/// What one piece brought, and where the next begins.
struct Piece {
    entries: Vec<Entry>,
    bytes: usize,
    next: Location,
    is_over: bool,
}

// === impl Refill ===

impl<D: Disk> Refill<D> {
    pub fn new(reader: Reader<D>, names: Vec<Arc<str>>) -> Self {
        Self { reader, names }
    }

    /// Reads one piece, if a line wants one.
    pub fn turn(&mut self, shared: &Shared) -> std::io::Result<Refilled> {
        let Some(want) = shared.queue_state().want() else { return Ok(Refilled::Idle) };
        let piece = self.read(&want)?;
        let progress = piece.next > want.from;
        let is_over = piece.is_over;
        shared.queue_state().load(&want, piece.into());
        shared.announce();
        Ok(if progress || is_over { Refilled::Some } else { Refilled::Stuck })
    }

    fn read(&mut self, want: &Want) -> std::io::Result<Piece> {
        let mut piece = Piece { entries: Vec::new(), bytes: 0, next: want.from, is_over: false };
        let Some(name) = self.names.get(want.upstream) else { return Ok(piece) };
        self.reader.seek(want.from);
        while piece.bytes < PIECE && !piece.is_over {
            let Some((at, kind, body)) = self.reader.next()? else {
                piece.is_over = !want.is_last;
                break;
            };
            // Behind the segment: what it has not shown, it does not have. With a gap in the log it may be the next one.
            if at.segment > want.from.segment {
                piece.is_over = true;
                break;
            }
            if has_outputs(kind)
                && let Err(error) = piece.add(Frame { kind, body: &body }, name, want)
            {
                tracing::error!(segment = at.segment, offset = at.offset, "unreadable: {error}");
            }
            piece.next = self.reader.position();
        }
        Ok(piece)
    }
}

// === impl Piece ===

impl Piece {
    /// The wanted outputs of a frame.
    fn add(&mut self, frame: Frame<'_>, name: &str, want: &Want) -> Result<(), WireError> {
        let mut outputs = Outputs::read(frame.kind, frame.body)?;
        while let Some(written) = outputs.next()? {
            if written.upstream != name {
                continue;
            }
            self.is_over |= written.number.saturating_add(1) == want.end && !want.is_last;
            let is_wanted = (want.loaded..want.end).contains(&written.number) && !want.done.contains(written.number);
            if is_wanted && self.entries.last().is_none_or(|last| last.position.number < written.number) {
                let (position, arrived) = (Position::of(written.number), timeline::instant_of(written.arrived_ms));
                let (message, binding) = (outputs.message(&written)?, Name::of_some(written.binding));
                let entry = Entry { position, binding, message, arrived };
                self.bytes += entry.message.weight();
                self.entries.push(entry);
            }
        }
        Ok(())
    }
}

impl From<Piece> for Loaded {
    fn from(Piece { entries, next, is_over, .. }: Piece) -> Self {
        Self { entries, next, is_over }
    }
}
