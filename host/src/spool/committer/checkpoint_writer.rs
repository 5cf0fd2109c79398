//! Who writes a checkpoint: a thread of its own, or, in what turns by hand, the caller.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;

use crate::spool::log::{Checkpoint, CheckpointWriter, Disk, Frame};

/// One checkpoint on its way. Dropped before it is finished it comes to nothing.
pub(super) enum Writing<D: Disk> {
    Here { writer: Option<CheckpointWriter<D>>, finished: Option<io::Result<Checkpoint>> },
    Beside(Beside),
}

/// The thread, and what it is to write next.
pub(super) struct Beside {
    /// None when all is said.
    pieces: Option<SyncSender<Piece>>,
    /// What it had no room for when it was asked.
    next: Option<Piece>,
    finished: Receiver<io::Result<Checkpoint>>,
    thread: Option<JoinHandle<()>>,
}

enum Piece {
    Frame(u8, Bytes),
    End,
}

pub(super) enum Finished {
    NotYet,
    Written(Checkpoint),
    Failed(io::Error),
}

// === impl Writing ===

impl<D: Disk> Writing<D> {
    pub fn begin(writer: CheckpointWriter<D>, beside: bool) -> io::Result<Self> {
        if !beside {
            return Ok(Self::Here { writer: Some(writer), finished: None });
        }
        let (pieces, to_write) = sync_channel(1);
        let (done, finished) = channel();
        let work = move || {
            // Nobody hears it when the spool has ended meanwhile.
            let _ = write(writer, &to_write).map(|written| done.send(written));
        };
        let thread = std::thread::Builder::new().name("spool-checkpoint".into()).spawn(work)?;
        Ok(Self::Beside(Beside { pieces: Some(pieces), next: None, finished, thread: Some(thread) }))
    }

    /// Whether it takes a piece without waiting.
    pub fn is_ready(&mut self) -> bool {
        match self {
            Self::Here { .. } => true,
            Self::Beside(beside) => beside.flush(),
        }
    }

    pub fn put(&mut self, kind: u8, body: Bytes) {
        match self {
            Self::Here { writer, finished } => {
                let written = writer.as_mut().map_or(Ok(()), |writer| writer.write(Frame { kind, body: &body }));
                if let Err(error) = written {
                    writer.take().into_iter().for_each(CheckpointWriter::abandon);
                    *finished = Some(Err(error));
                }
            }
            Self::Beside(beside) => beside.push(Piece::Frame(kind, body)),
        }
    }

    /// All is said: it is to hold.
    pub fn finish(&mut self) {
        match self {
            Self::Here { writer, finished } => {
                writer.take().into_iter().for_each(|writer| *finished = Some(writer.finish()));
            }
            Self::Beside(beside) => beside.push(Piece::End),
        }
    }

    pub fn poll(&mut self) -> Finished {
        let finished = match self {
            Self::Here { finished, .. } => finished.take(),
            Self::Beside(beside) => beside.poll(),
        };
        match finished {
            None => Finished::NotYet,
            Some(Ok(checkpoint)) => Finished::Written(checkpoint),
            Some(Err(error)) => Finished::Failed(error),
        }
    }
}

/// None when nobody wants it any more.
fn write<D: Disk>(mut writer: CheckpointWriter<D>, pieces: &Receiver<Piece>) -> Option<io::Result<Checkpoint>> {
    loop {
        match pieces.recv() {
            Ok(Piece::Frame(kind, body)) => {
                if let Err(error) = writer.write(Frame { kind, body: &body }) {
                    writer.abandon();
                    return Some(Err(error));
                }
            }
            Ok(Piece::End) => return Some(writer.finish()),
            Err(_) => {
                writer.abandon();
                return None;
            }
        }
    }
}

// === impl Beside ===

impl Beside {
    /// Whether nothing waits here any more.
    fn flush(&mut self) -> bool {
        let Some(piece) = self.next.take() else { return true };
        match self.pieces.as_ref().map(|pieces| pieces.try_send(piece)) {
            Some(Err(TrySendError::Full(piece))) => self.next = Some(piece),
            // It has ended early: `finished` says why.
            Some(Ok(()) | Err(TrySendError::Disconnected(_))) | None => {}
        }
        self.next.is_none()
    }

    fn push(&mut self, piece: Piece) {
        self.next = Some(piece);
        self.flush();
    }

    fn poll(&mut self) -> Option<io::Result<Checkpoint>> {
        self.flush();
        match self.finished.try_recv() {
            Ok(finished) => Some(finished),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(io::Error::other("the thread of the checkpoint has ended"))),
        }
    }
}

impl Drop for Beside {
    /// The folder is not free for another process before nobody writes in it.
    fn drop(&mut self) {
        self.pieces = None;
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}
