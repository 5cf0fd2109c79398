//! Bytes on their way out. Many packets go in one write, and none waits for company.
//!
//! While a write is under way new packets gather behind it; when it returns they all go in the next one. A QoS 0 message is
//! forwarded when its last byte is written, which only this place knows.

use std::collections::VecDeque;
use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::ack_watch::Sent;
use crate::spool::Position;

/// Nothing new is taken from the spool beyond this: the socket is slower than we are.
const HIGH_WATER: usize = 64 * 1024;

/// Beyond this, nothing is read either: the peer makes us answer and does not listen.
const FLOOD: usize = 4 * HIGH_WATER;

#[derive(Default)]
pub struct Outbox {
    pub bytes: BytesMut,
    /// Bytes that have left.
    written: u64,
    unflushed: bool,
    /// Where each QoS 0 message ends, counted like `written`.
    ends: VecDeque<(u64, Position)>,
}

// === impl Outbox ===

impl Outbox {
    pub fn room(&self) -> usize {
        HIGH_WATER.saturating_sub(self.bytes.len())
    }

    pub fn is_flooded(&self) -> bool {
        self.bytes.len() >= FLOOD
    }

    pub fn is_idle(&self) -> bool {
        self.bytes.is_empty() && !self.unflushed
    }

    /// Bytes that were ever put in here, and that have left.
    pub fn sent(&self) -> Sent {
        Sent { queued: self.written + self.bytes.len() as u64, written: self.written }
    }

    /// The QoS 0 message that has just been encoded into `bytes`.
    pub fn mark_end(&mut self, position: Position) {
        self.ends.push_back((self.written + self.bytes.len() as u64, position));
    }

    /// One write, or the flush when everything is written. Safe to cancel: what was written is accounted for.
    pub async fn push(&mut self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        if self.bytes.is_empty() {
            writer.flush().await?;
            self.unflushed = false;
            return Ok(());
        }
        let written = writer.write_buf(&mut self.bytes).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.written += written as u64;
        self.unflushed = true;
        Ok(())
    }

    /// The next QoS 0 message that is wholly written.
    pub fn next_written(&mut self) -> Option<Position> {
        let (end, position) = *self.ends.front()?;
        (end <= self.written).then(|| self.ends.pop_front())?;
        Some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_qos_0_message_counts_when_its_last_byte_is_written() {
        let (mut near, _far) = tokio::io::duplex(4);
        let mut outbox = Outbox::default();
        outbox.bytes.extend_from_slice(b"abc");
        outbox.mark_end(Position::of(1));
        outbox.bytes.extend_from_slice(b"def");
        outbox.mark_end(Position::of(2));
        outbox.push(&mut near).await.unwrap();
        assert_eq!((outbox.next_written(), outbox.next_written()), (Some(Position::of(1)), None));
        assert!(!outbox.is_idle());
    }
}
