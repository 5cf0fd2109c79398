//! Space from a log that is full of what nobody wants any more.
//!
//! Segments go oldest first, so that a message that nobody fetches keeps everything that came after it. When records have no room
//! and enough of the log is done, what is still wanted of the oldest segment is written again at the end, under its own
//! numbers, and the segment can go. It costs one write more for what waits long, and a reader nothing but the knowledge of
//! where to look ([`super::super::runs`]).
//!
//! What is too old to be sent and, if it is the first to go, QoS 0 is left out. A crash at any moment leaves the message in both
//! places or in one; numbers say that it is the same. One piece for each turn, so that completions and acks go on beside it; it writes
//! into the reserve, which it gives back with the segment.

use bytes::BytesMut;

use super::Committer;
use crate::base::{clock, timeline};
use crate::config::WhenFull;
use crate::message::Message;
use crate::spool::frame::{Outputs, Written, has_outputs, put_output, put_written};
use crate::spool::log::{AppendError, Disk, Frame, Location, Reader};
use crate::spool::runs::Weight;
use crate::spool::shared::Sharing;
use crate::spool::wire::WireError;
use crate::spool::{Fate, Shared};

/// Read and written at once.
const PIECE: usize = 1 << 20;

/// The oldest segment, on its way out.
pub(super) struct Compact<D: Disk> {
    segment: u64,
    reader: Reader<D>,
    is_read: bool,
}

/// What is to be written again.
#[derive(Default)]
struct Piece {
    bytes: BytesMut,
    count: u32,
    sharing: Sharing,
    /// What was written with the help of others, which have to stay where they are until all is written.
    shared: Vec<Message>,
}

impl<D: Disk> Committer<D> {
    /// One piece. `false` when there is nothing to gain, or no room to do it in.
    pub(super) fn compact(&mut self, shared: &Shared) -> Result<bool, AppendError> {
        // What stands before it is kept for the state alone.
        let oldest = self.done_below();
        if self.compact.as_ref().is_none_or(|compact| compact.segment != oldest) {
            if oldest >= self.log.active_segment() || !self.is_worthwhile() || self.waits_for_checkpoint() {
                return Ok(false);
            }
            let reader = self.log.reader(Location { segment: oldest, offset: 0 });
            self.compact = Some(Compact { segment: oldest, reader, is_read: false });
        }
        let piece = match self.read_piece(shared) {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(false),
            Err(error) => {
                tracing::error!(segment = oldest, "the spool cannot be read: {error}");
                return Ok(false);
            }
        };
        if !self.write_piece(&piece, shared)? {
            // No room even in the reserve: from the start when there is.
            self.compact = None;
            return Ok(false);
        }
        self.give_up_missing(shared);
        self.trim();
        Ok(true)
    }

    /// Half a segment, which is what small records take of the reserve before they wait, and an eighth of the log: below that, the log is
    /// full of what is wanted, and to move it would write more than eight times what it gains. What is not written yet of the last segment
    /// is nothing to gain.
    pub(super) fn is_worthwhile(&self) -> bool {
        let first_to_go = self.policy.when_full == WhenFull::DropQos0First;
        let wanted = |(bytes, qos0): (u64, u64)| if first_to_go { bytes - qos0 } else { bytes };
        let wanted: u64 = self.image.all_offsets().iter().map(|offsets| wanted(offsets.bytes())).sum();
        let (used, half) = (self.log.used(), self.log.max_append() / 2 - self.completion_share());
        used.saturating_sub(wanted) >= half.max(used / 8) || self.is_mostly_dropped()
    }

    /// The oldest of one binding went, and half of the oldest segment with it.
    fn is_mostly_dropped(&self) -> bool {
        if self.policy.when_full != WhenFull::DropOldest {
            return false;
        }
        let oldest = self.done_below();
        let runs = self.image.all_offsets().iter().flat_map(|offsets| offsets.runs().iter());
        let wanted: u64 = runs.filter(|(_, run)| run.segment == oldest).map(|(_, run)| run.bytes).sum();
        self.log.bytes_in(oldest..oldest + 1) >= wanted + self.log.max_append() / 2
    }

    /// `None` when all of the segment has been read before.
    fn read_piece(&mut self, shared: &Shared) -> std::io::Result<Option<Piece>> {
        let Some(mut compact) = self.compact.take_if(|compact| !compact.is_read) else { return Ok(None) };
        let (mut piece, most) = (Piece::default(), PIECE.min(self.max_record() as usize));
        let read = loop {
            match compact.reader.next() {
                Err(error) => break Err(error),
                Ok(Some((at, _, body)))
                    if at.segment == compact.segment && !piece.is_empty() && piece.bytes.len() + body.len() > most =>
                {
                    compact.reader.seek(at);
                    break Ok(());
                }
                Ok(Some((at, kind, body))) if at.segment == compact.segment => {
                    if has_outputs(kind) {
                        // One that makes no sense made none to recovery either, and was told then.
                        let _ = self.sort_out(Frame { kind, body: &body }, compact.segment, &mut piece, shared);
                    }
                }
                Ok(_) => {
                    compact.is_read = true;
                    break Ok(());
                }
            }
        };
        self.compact = Some(compact);
        read.map(|()| Some(piece))
    }

    /// What is still wanted of a frame.
    fn sort_out(&self, frame: Frame<'_>, segment: u64, piece: &mut Piece, shared: &Shared) -> Result<(), WireError> {
        let mut outputs = Outputs::read(frame.kind, frame.body)?;
        let mut wanted = Vec::new();
        while let Some(written) = outputs.next()? {
            if !self.image.offsets(written.upstream).is_some_and(|offsets| offsets.lives_in(written.number, segment)) {
                continue;
            }
            let upstream = self.names.iter().position(|name| **name == *written.upstream);
            let upstream = upstream.filter(|upstream| !self.is_archive(*upstream));
            let reason = upstream.zip(self.reason_to_go(&written.weight()));
            // What may have been sent is kept: only its upstream can say what became of it.
            if !reason.is_some_and(|(upstream, fate)| shared.queue_state().drop_unsent(upstream, written.number, fate))
            {
                wanted.push(written);
            }
        }
        piece.keep(&wanted, &mut outputs)
    }

    fn reason_to_go(&self, weight: &Weight) -> Option<Fate> {
        let aged = self.max_age_ms().map_or(u64::MAX, |age| weight.arrived_ms.saturating_add(age));
        if clock::is_plausible(weight.arrived_ms) && weight.dies_ms.min(aged) <= timeline::now_ms() {
            return Some(Fate::Expired);
        }
        (weight.is_qos0 && self.policy.when_full == WhenFull::DropQos0First).then_some(Fate::Dropped)
    }

    fn write_piece(&mut self, piece: &Piece, shared: &Shared) -> Result<bool, AppendError> {
        if piece.count == 0 {
            return Ok(true);
        }
        self.batch.clear(&self.image, &self.names);
        self.batch.moved(piece.count, &piece.bytes);
        let wanted = self.room_for_moved(self.batch.framed() as u64);
        if self.log.must_roll(wanted as usize) {
            // Beside all that there is: the oldest segment goes for it, and the next is not begun before.
            let limit = self.log.used() + self.segment() + wanted;
            match self.roll_reserved(wanted, limit) {
                Err(AppendError::Full(_)) => return Ok(false),
                rolled => rolled?,
            }
        }
        let frames = self.batch.frames();
        let locations = self.log.append(&frames)?;
        // Before anybody is sent there, and before the first copy goes, at every level of sync.
        self.log.sync_now()?;
        for (at, frame) in locations.iter().zip(&frames) {
            self.image.apply(*at, *frame);
        }
        let mut queue_state = shared.queue_state();
        for (upstream, name) in self.names.iter().enumerate() {
            self.image.offsets(name).into_iter().for_each(|offsets| queue_state.relocate(upstream, offsets));
        }
        Ok(true)
    }

    /// With what completions take: a segment goes only when it is noted what became of the messages that are left out. A message may be
    /// larger than a segment, when the limit was lowered: its segment is then as large as it needs.
    fn room_for_moved(&self, framed: u64) -> u64 {
        let (most, completions) = (self.log.max_append(), self.completion_share());
        if framed > most { framed + completions } else { (framed + completions).min(most) }
    }

    /// All has been read, and these should have been met: damaged since the start.
    fn give_up_missing(&self, shared: &Shared) {
        let Some(compact) = self.compact.as_ref().filter(|compact| compact.is_read) else { return };
        for (upstream, name) in self.names.iter().enumerate() {
            let missing =
                self.image.offsets(name).map(|offsets| offsets.numbers_in(compact.segment)).unwrap_or_default();
            shared.queue_state().lose(upstream, &missing);
        }
    }
}

// === impl Piece ===

impl Piece {
    /// What is wanted of one frame. As it stands there; or, when some of it refers to others, put together anew: they may not be wanted
    /// any more.
    fn keep<'a>(&mut self, wanted: &[Written<'a>], outputs: &mut Outputs<'a>) -> Result<(), WireError> {
        let alone = wanted.iter().all(|written| written.message.stands_alone());
        for written in wanted {
            if alone {
                put_written(&mut self.bytes, written);
                self.sharing.pass(&written.message);
            } else {
                let message = outputs.message(written)?;
                put_output(&mut self.bytes, &written.head(), &message, &mut self.sharing);
                self.shared.push(message);
            }
            self.count += 1;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }
}
