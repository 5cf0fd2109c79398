//! What all connections of a proxy share: the fault, and what was counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::fault::{Direction, Fault, Place};
use super::walker::{Mark, Walker};

pub struct Shared {
    pub server: SocketAddr,
    state: Mutex<State>,
}

pub struct State {
    pub fault: Fault,
    pub stopped: bool,
    pub listening: bool,
    pub accepted: usize,
    pub open: usize,
    pub cuts: usize,
    /// Bytes, or packets begun, that a cut has counted.
    counted: usize,
    passed: BTreeMap<(bool, u8), usize>,
}

/// How much of a piece may pass, and whether the line is cut behind it.
#[derive(Debug, PartialEq, Eq)]
pub struct Passage {
    pub bytes: usize,
    pub cut: bool,
}

// === impl Shared ===

impl Shared {
    pub fn new(server: SocketAddr) -> Self {
        let state = State {
            fault: Fault::None,
            stopped: false,
            listening: true,
            accepted: 0,
            open: 0,
            cuts: 0,
            counted: 0,
            passed: BTreeMap::new(),
        };
        Self { server, state: Mutex::new(state) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    pub fn set(&mut self, fault: Fault) {
        self.fault = fault;
        self.counted = 0;
    }

    pub fn opened(&mut self) {
        self.accepted += 1;
        self.open += 1;
    }

    pub fn passed(&self, direction: Direction, kind: u8) -> usize {
        self.passed.get(&(direction == Direction::Up, kind)).copied().unwrap_or(0)
    }

    /// Decides about bytes that have come, and counts.
    pub fn admit(&mut self, direction: Direction, walker: &mut Walker, bytes: &[u8]) -> Passage {
        for (at, byte) in bytes.iter().enumerate() {
            let mark = walker.step(*byte);
            if self.cuts_before(direction, mark) {
                return self.cut(at);
            }
            if let Mark::Last(kind) = mark {
                *self.passed.entry((direction == Direction::Up, kind)).or_default() += 1;
            }
            if self.cuts_after(direction, mark) {
                return self.cut(at + 1);
            }
        }
        Passage { bytes: bytes.len(), cut: false }
    }

    fn cuts_before(&mut self, direction: Direction, mark: Mark) -> bool {
        let Fault::Cut(cut) = self.fault else { return false };
        if (direction, mark) != (cut.direction, Mark::First(cut.kind)) {
            return false;
        }
        self.counted += 1;
        cut.place == Place::Before && self.counted == cut.nth
    }

    fn cuts_after(&mut self, direction: Direction, mark: Mark) -> bool {
        match self.fault {
            Fault::CutAfter { direction: counted, bytes } if counted == direction => {
                self.counted += 1;
                self.counted >= bytes
            }
            Fault::Cut(cut) => {
                let is_it = (direction, mark) == (cut.direction, Mark::Last(cut.kind));
                is_it && cut.place == Place::After && self.counted == cut.nth
            }
            _ => false,
        }
    }

    fn cut(&mut self, bytes: usize) -> Passage {
        self.cuts += 1;
        self.set(Fault::None);
        Passage { bytes, cut: true }
    }
}
