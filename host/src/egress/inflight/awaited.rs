//! What the server owes us: the ack that is looked for when none comes.

use super::{Inflight, State, packet_id};
use crate::topic::TopicName;

/// The step that an exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    pub number: u64,
    pub ack: AckKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckKind {
    /// PUBACK or PUBREC, by its QoS.
    OfPublish,
    PubComp,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Unsent,
    /// At QoS 0, and over when it is written.
    Passing,
    /// Its PUBLISH was, and may be sent again.
    Sent,
    /// The server has it.
    Received,
    Over,
}

// === impl Inflight ===

impl Inflight {
    /// The oldest exchange that waits for the server. Not one that waits for the disk, and not one that this connection has not
    /// repeated yet.
    pub fn oldest_awaited(&self) -> Option<Awaited> {
        self.exchanges.iter().find_map(|(number, exchange)| {
            let ack = match exchange.state {
                State::Published if self.resend.binary_search(number).is_err() => AckKind::OfPublish,
                State::Released { .. } => AckKind::PubComp,
                State::Published | State::Refused | State::Received { .. } | State::Done => return None,
            };
            Some(Awaited { number: *number, ack })
        })
    }

    pub fn standing(&self, number: u64) -> Standing {
        match self.exchanges.get(&number).map(|exchange| exchange.state) {
            None if self.passing.contains(&number) => Standing::Passing,
            None => Standing::Unsent,
            Some(State::Published | State::Refused) => Standing::Sent,
            Some(State::Received { .. } | State::Released { .. }) => Standing::Received,
            Some(State::Done) => Standing::Over,
        }
    }

    /// For people: the packet identifier of an exchange, and its topic when it is still known.
    pub fn describe(&self, number: u64) -> (u16, Option<TopicName>) {
        let message = self.exchanges.get(&number).and_then(|exchange| exchange.message.as_ref());
        (packet_id(number), message.map(|message| message.topic.clone()))
    }
}
