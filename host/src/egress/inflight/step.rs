//! What goes in and out of the sender's state.

use crate::message::Message;
use crate::mqtt::client::Publish;
use crate::mqtt::{Ack, Reason};

/// How much may be open at once on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// QoS 1 and 2 together: the server's Receive Maximum.
    pub all: u16,
    /// QoS 2 alone, where the server has a limit that it cannot tell.
    pub exactly_once: u16,
}

/// A PUBLISH to be sent again: at QoS 0 no longer an exchange, and named by its number alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    pub number: u64,
    pub publish: Publish,
}

/// What an ack of the server leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// Make this durable; [`super::Inflight::confirm`] then has the PUBREL.
    Receive {
        number: u64,
        /// PUBRELs go in the order of their PUBRECs.
        turn: u64,
    },
    /// Send this PUBREL.
    Release(Ack),
    /// The exchange is over: acknowledged, or refused when the reason is a failure.
    Done {
        number: u64,
        /// None for one that was recovered after it was received.
        message: Option<Message>,
        reason: Reason,
    },
    /// The server says that our id is in use: the two sides disagree, and only a clean start can heal that.
    Reset,
}

// === impl Window ===

impl Window {
    #[cfg(test)]
    pub const OPEN: Self = Self { all: u16::MAX, exactly_once: u16::MAX };
}
