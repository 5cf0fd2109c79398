//! What goes in and out of the sender's state.

use crate::mqtt::{Ack, Reason};

/// How much may be open at once on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// QoS 1 and 2 together: the receiver's Receive Maximum.
    pub all: u16,
    /// QoS 2 alone, where the receiver has a limit that it cannot tell.
    pub exactly_once: u16,
}

/// What the receiver says about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    PubAck(Ack),
    PubRec(Ack),
    PubComp(Ack),
}

/// A QoS 2 message that the receiver has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Released {
    pub number: u64,
    /// PUBRELs go in the order of their PUBRECs.
    pub sequence: u64,
}

/// What a reply leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<M> {
    Nothing,
    /// Make this durable; [`super::Sender::confirm`] then has the PUBREL.
    Receive(Released),
    /// Send this PUBREL.
    Release(Ack),
    /// The exchange is over: acknowledged, or refused when the reason is a failure.
    Done {
        number: u64,
        /// None for one that was recovered after it was received.
        message: Option<M>,
        reason: Reason,
    },
    /// The receiver says that our id is in use: the two sides disagree, and only a clean start can heal that.
    Reset,
}

// === impl Window ===

impl Window {
    pub const OPEN: Self = Self { all: u16::MAX, exactly_once: u16::MAX };
}
