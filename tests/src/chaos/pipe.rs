//! One direction of a connection: read, hold back as long as the fault wants, write.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::fault::{Direction, Fault};
use super::state::Shared;
use super::walker::Walker;

/// Nothing more is read while so much waits: a slow line slows its sender.
const MOST: usize = 16 * 1024;

/// How long a throttled line can have saved up.
const BURST: Duration = Duration::from_millis(50);

pub struct Pipe {
    direction: Direction,
    walker: Walker,
    /// Pieces and when they are due.
    waiting: VecDeque<(Instant, Vec<u8>)>,
    waiting_bytes: usize,
    last_write: Instant,
    ended: Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    No,
    /// The sender has closed, and what it said is still on its way.
    Read,
    Written,
}

/// What a turn has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Idle,
    Busy,
    Cut,
}

// === impl Pipe ===

impl Pipe {
    pub fn new(direction: Direction) -> Self {
        let (walker, waiting) = (Walker::default(), VecDeque::new());
        Self { direction, walker, waiting, waiting_bytes: 0, last_write: Instant::now(), ended: Ended::No }
    }

    pub fn is_over(&self) -> bool {
        self.ended == Ended::Written
    }

    pub fn turn(&mut self, from: &TcpStream, to: &TcpStream, fault: Fault, shared: &Shared) -> io::Result<Turn> {
        let read = self.read(from, fault, shared)?;
        if read == Turn::Cut {
            self.write(to, Fault::None, Instant::now())?;
            return Ok(Turn::Cut);
        }
        let wrote = self.write(to, fault, Instant::now())?;
        if self.ended == Ended::Read && self.waiting.is_empty() {
            self.ended = Ended::Written;
            to.shutdown(Shutdown::Write)?;
        }
        Ok(if wrote { Turn::Busy } else { read })
    }

    fn read(&mut self, mut from: &TcpStream, fault: Fault, shared: &Shared) -> io::Result<Turn> {
        if self.ended != Ended::No || self.waiting_bytes >= MOST {
            return Ok(Turn::Idle);
        }
        let mut bytes = [0; 4096];
        let Some(count) = unless_blocked(from.read(&mut bytes))? else { return Ok(Turn::Idle) };
        if count == 0 {
            self.ended = Ended::Read;
            return Ok(Turn::Busy);
        }
        let passage = shared.state().admit(self.direction, &mut self.walker, &bytes[..count]);
        let latency = if let Fault::Latency(latency) = fault { latency } else { Duration::ZERO };
        if passage.bytes > 0 {
            self.waiting_bytes += passage.bytes;
            self.waiting.push_back((Instant::now() + latency, bytes[..passage.bytes].to_vec()));
        }
        Ok(if passage.cut { Turn::Cut } else { Turn::Busy })
    }

    /// What is due and what the fault lets through. Whether it was anything.
    fn write(&mut self, mut to: &TcpStream, fault: Fault, now: Instant) -> io::Result<bool> {
        let mut left = match fault {
            Fault::Throttle(rate) => (rate as f64 * (now - self.last_write).min(BURST).as_secs_f64()) as usize,
            Fault::Split => 1,
            _ => usize::MAX,
        };
        let mut wrote = false;
        while let Some((due, piece)) = self.waiting.front_mut()
            && *due <= now
            && left > 0
        {
            let most = piece.len().min(left);
            let Some(written) = unless_blocked(to.write(&piece[..most]))? else { break };
            piece.drain(..written);
            if piece.is_empty() {
                self.waiting.pop_front();
            }
            self.waiting_bytes -= written;
            self.last_write = now;
            left -= written;
            wrote = true;
        }
        Ok(wrote)
    }
}

fn unless_blocked(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
