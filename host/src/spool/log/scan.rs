//! From bytes to frames, in order, and around damage: one way to read, for recovery and for readers.

use std::io;
use std::ops::Range;

use super::disk::DiskFile;
use super::format::{ALIGN, FRAME_BYTES, Head, MARKER, Salt};

/// Read ahead; a disk is asked in pieces that it likes.
const CHUNK: usize = 256 << 10;

/// The unwritten rest of a segment is most of what a restart reads: it is compared a page at a time.
static BLANK: [u8; 4 << 10] = [0; 4 << 10];

/// A walk over one segment, up to an end that may move on.
pub struct Scan<F> {
    file: F,
    salt: Salt,
    window: Window,
    at: u64,
    end: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Frame {
        offset: u64,
        kind: u8,
        body: &'a [u8],
        unsynced: u64,
    },
    /// No frame begins in it that verifies. At the end of a segment that may be its unwritten rest, all zeros.
    Damage {
        range: Range<u64>,
        /// Up to the last byte in it that is not zero.
        written: u64,
    },
}

/// The part of the file that is in memory.
#[derive(Default)]
struct Window {
    bytes: Vec<u8>,
    base: u64,
}

// === impl Scan ===

impl<F: DiskFile> Scan<F> {
    pub fn new(file: F, salt: Salt, from: u64, end: u64) -> Self {
        Self { file, salt, window: Window::default(), at: from.next_multiple_of(ALIGN), end }
    }

    pub fn extend_to(&mut self, end: u64) {
        self.end = self.end.max(end);
    }

    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        if self.at >= self.end {
            return Ok(None);
        }
        let offset = self.at;
        let Some((head, true)) = self.look()? else {
            let written = self.skip_damage()?;
            return Ok(Some(Piece::Damage { range: offset..self.at, written }));
        };
        self.at += head.framed();
        let body = self.window.fill(&self.file, offset, FRAME_BYTES + head.length, self.end)?;
        let body = body.get(FRAME_BYTES..FRAME_BYTES + head.length).unwrap_or_default();
        Ok(Some(Piece::Frame { offset, kind: head.kind, body, unsynced: head.unsynced }))
    }

    /// The head of the frame that begins here, and whether its body verifies.
    fn look(&mut self) -> io::Result<Option<(Head, bool)>> {
        let bytes = self.window.fill(&self.file, self.at, FRAME_BYTES, self.end)?;
        let Some(head) = self.salt.head(self.at, bytes) else { return Ok(None) };
        if head.framed() > self.end - self.at {
            return Ok(None);
        }
        let frame = self.window.fill(&self.file, self.at, FRAME_BYTES + head.length, self.end)?;
        let body = frame.get(FRAME_BYTES..FRAME_BYTES + head.length).unwrap_or_default();
        Ok(Some((head, self.salt.verifies(self.at, &head, body))))
    }

    /// Goes to the next frame that verifies, or to the end; returns where the last byte that is not zero was.
    fn skip_damage(&mut self) -> io::Result<u64> {
        let mut written = self.at;
        while self.at < self.end {
            match self.look()? {
                Some((_, true)) => break,
                // The head can be believed: the damage is in the body, and nothing inside the body is a frame.
                Some((head, false)) => {
                    self.at += head.framed();
                    written = self.at;
                }
                None => self.skip_to_marker(&mut written)?,
            }
        }
        Ok(written)
    }

    /// At least one step on, to the next aligned place where a frame could begin.
    fn skip_to_marker(&mut self, written: &mut u64) -> io::Result<()> {
        let step = ALIGN as usize;
        let mut first = true;
        loop {
            let bytes = self.window.fill(&self.file, self.at, step, self.end)?;
            if bytes.len() < step {
                // An end that is not aligned: a file that was cut.
                if bytes.iter().any(|byte| *byte != 0) {
                    *written = self.at + bytes.len() as u64;
                }
                self.at = self.end;
                return Ok(());
            }
            let blank = bytes.chunks_exact(BLANK.len()).take_while(|page| *page == BLANK).count();
            if blank > 0 {
                first = false;
                self.at += (blank * BLANK.len()) as u64;
                continue;
            }
            for word in bytes.chunks_exact(step) {
                if !first && word.starts_with(&MARKER) {
                    return Ok(());
                }
                first = false;
                self.at += ALIGN;
                if word != [0; ALIGN as usize] {
                    *written = self.at;
                }
            }
        }
    }
}

// === impl Window ===

impl Window {
    /// Everything in memory from `at` on, at least `want` bytes but at the end. Bytes past `end` are never read: they
    /// may still change.
    fn fill<F: DiskFile>(&mut self, file: &F, at: u64, want: usize, end: u64) -> io::Result<&[u8]> {
        let have = self.base + self.bytes.len() as u64;
        if at < self.base || at > have {
            self.bytes.clear();
            self.base = at;
        }
        let have = (self.base + self.bytes.len() as u64).saturating_sub(at);
        if have < want as u64 {
            self.read(file, at, want, end)?;
        }
        let skip = usize::try_from(at - self.base).unwrap_or(usize::MAX);
        Ok(self.bytes.get(skip..).unwrap_or_default())
    }

    fn read<F: DiskFile>(&mut self, file: &F, at: u64, want: usize, end: u64) -> io::Result<()> {
        let gone = usize::try_from(at - self.base).unwrap_or(usize::MAX).min(self.bytes.len());
        self.bytes.drain(..gone);
        self.base = at;
        if self.bytes.capacity() > 16 * CHUNK && want <= CHUNK {
            // One large frame must not be paid for by a reader's whole life.
            self.bytes.shrink_to(CHUNK);
        }
        let target = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(want.max(CHUNK));
        let mut len = self.bytes.len();
        self.bytes.resize(target.max(len), 0);
        while let Some(rest) = self.bytes.get_mut(len..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, at + len as u64) {
                Ok(0) => break,
                Ok(read) => len += read,
                Err(error) => {
                    self.bytes.truncate(len);
                    return Err(error);
                }
            }
        }
        self.bytes.truncate(len);
        Ok(())
    }
}
