//! What can be wrong with a network.

use std::time::Duration;

use crate::wire::{CONNACK, PINGRESP, PUBACK, PUBCOMP, PUBREC};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Up,
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Every byte arrives so much later.
    Latency(Duration),
    /// So many bytes a second in each direction.
    Throttle(usize),
    /// Every byte in a segment of its own.
    Split,
    /// Connections are accepted, and what is said on them is swallowed. Those that were open are lost for good: when the
    /// fault is over they stay silent.
    Blackhole,
    /// Nothing passes, nothing is lost, and the sockets stay open: when the fault is over, what was held back passes.
    HalfOpen,
    /// RST on every connection, also on new ones.
    Reset,
    /// Nobody listens. Open connections get an RST.
    Refuse,
    /// RST in both directions, once, behind so many bytes from now.
    CutAfter {
        direction: Direction,
        bytes: usize,
    },
    Cut(Cut),
}

/// RST in both directions, once, at a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub place: Place,
    pub direction: Direction,
    pub kind: u8,
    /// The first from now is 1.
    pub nth: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Not a byte of the packet passes.
    Before,
    /// The packet passes whole.
    After,
}

// === impl Cut ===

impl Cut {
    /// In the direction in which a client's messages make such a packet travel.
    pub fn before(kind: u8, nth: usize) -> Self {
        Self { place: Place::Before, direction: Direction::of(kind), kind, nth }
    }

    pub fn after(kind: u8, nth: usize) -> Self {
        Self { place: Place::After, ..Self::before(kind, nth) }
    }
}

// === impl Direction ===

impl Direction {
    fn of(kind: u8) -> Self {
        if [CONNACK, PUBACK, PUBREC, PUBCOMP, PINGRESP].contains(&kind) { Self::Down } else { Self::Up }
    }
}
