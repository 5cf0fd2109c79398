//! Brings a backlog back into memory, a piece at a time, behind the senders' backs.
//!
//! It reads the log on a thread of its own: the committer must not be late for a new message because an old one is fetched,
//! and a sender must not wait for a disk. What it reads is durable and placed, because the books say how far it may go.

use std::sync::Arc;

use super::frame::INPUT;
use super::line::Want;
use super::log::{Disk, Location, Reader};
use super::message::decode_message;
use super::wire::{Fields, WireError};
use super::{Entry, Position, Shared};
use crate::control::clock;

/// Read before the books are told: small enough that the first message of a backlog does not wait for the last.
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
}

// === impl Refill ===

impl<D: Disk> Refill<D> {
    pub fn new(reader: Reader<D>, names: Vec<Arc<str>>) -> Self {
        Self { reader, names }
    }

    /// Reads one piece, if a line wants one.
    pub fn turn(&mut self, shared: &Shared) -> std::io::Result<Refilled> {
        let Some(want) = shared.ledger().want() else { return Ok(Refilled::Idle) };
        let piece = self.read(&want)?;
        let progress = piece.next > want.from;
        shared.ledger().load(want.upstream, piece.entries, piece.next);
        Ok(if progress { Refilled::Some } else { Refilled::Stuck })
    }

    fn read(&mut self, want: &Want) -> std::io::Result<Piece> {
        let mut piece = Piece { entries: Vec::new(), bytes: 0, next: want.from };
        let Some(name) = self.names.get(want.upstream) else { return Ok(piece) };
        self.reader.seek(want.from);
        while piece.bytes < PIECE
            && let Some((at, kind, body)) = self.reader.next()?
        {
            if kind == INPUT {
                match piece.add(&body, name, want) {
                    Ok(true) => {}
                    Ok(false) => {
                        piece.next = at;
                        break;
                    }
                    Err(error) => tracing::error!(segment = at.segment, offset = at.offset, "unreadable: {error}"),
                }
            }
            piece.next = self.reader.position();
        }
        Ok(piece)
    }
}

// === impl Piece ===

impl Piece {
    /// The wanted outputs of a frame. `false` when it is beyond what may be read.
    fn add(&mut self, body: &[u8], name: &str, want: &Want) -> Result<bool, WireError> {
        let mut fields = Fields::new(body);
        for _ in 0..fields.u32()? {
            let written = fields.written()?;
            if written.upstream != name {
                continue;
            }
            if written.number >= want.placed {
                return Ok(false);
            }
            if written.number >= want.loaded && !want.done.contains(written.number) {
                let (position, arrived) = (Position::of(written.number), clock::instant_of(written.arrived_ms));
                let entry = Entry { position, message: decode_message(written.message)?, arrived };
                self.bytes += entry.message.weight();
                self.entries.push(entry);
            }
        }
        Ok(true)
    }
}
