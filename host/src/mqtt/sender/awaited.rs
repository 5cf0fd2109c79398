//! What the receiver owes us: the ack that is looked for when none comes.

use super::{Outgoing, Passing, Sender, State};

/// The step that an exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited {
    pub number: u64,
    pub packet_id: u16,
    pub ack: AckKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckKind {
    /// PUBACK or PUBREC, by its QoS.
    OfPublish,
    PubComp,
    /// To a PINGREQ behind a message of QoS 0.
    PingResp,
}

/// How far a message has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Unsent,
    /// At QoS 0, and over when it is written.
    Passing,
    /// Its PUBLISH was, and may be sent again.
    Sent,
    /// The receiver has it.
    Received,
    Over,
}

// === impl Sender ===

impl<M: Outgoing> Sender<M> {
    /// The oldest exchange that waits for the receiver. Not one that waits for the disk, and not one that this connection has not
    /// repeated yet.
    pub fn oldest_awaited(&self) -> Option<Awaited> {
        let oldest = self.exchanges.iter().find_map(|(number, exchange)| {
            let ack = match exchange.state {
                State::Published if self.is_sent(*number) => AckKind::OfPublish,
                State::Released { .. } if !self.is_withheld(*number) => AckKind::PubComp,
                State::Published | State::Released { .. } | State::Refused | State::Received { .. } | State::Done => {
                    return None;
                }
            };
            Some(Awaited { number: *number, packet_id: exchange.packet_id, ack })
        });
        let unanswered = self.oldest_unanswered();
        let unanswered = unanswered.map(|number| Awaited { number, packet_id: 0, ack: AckKind::PingResp });
        oldest.into_iter().chain(unanswered).min_by_key(|awaited| awaited.number)
    }

    /// The packet id of the oldest message that was sent on this connection and that the receiver has not acknowledged.
    pub fn oldest_unacknowledged(&self) -> Option<u16> {
        let waits = |(number, exchange): &(&u64, &_)| is_published(exchange) && self.is_sent(**number);
        self.exchanges.iter().find(waits).map(|(_, exchange)| exchange.packet_id)
    }

    /// Whether any message waits for its first ack, sent on this connection or not yet.
    pub fn has_unacknowledged(&self) -> bool {
        self.exchanges.values().any(is_published)
    }

    /// The message with this packet id, while the receiver does not have it.
    pub fn unacknowledged(&self, packet_id: u16) -> Option<&M> {
        let exchange = self.exchanges.get(&self.by_id.get(packet_id)?)?;
        exchange.message.as_ref().filter(|_| is_published(exchange))
    }

    /// The open exchange with this packet id.
    pub fn number(&self, packet_id: u16) -> Option<u64> {
        self.by_id.get(packet_id)
    }

    pub fn message(&self, number: u64) -> Option<&M> {
        self.exchanges.get(&number)?.message.as_ref()
    }

    /// Whether nothing waits for an answer of the receiver.
    pub fn is_quiet(&self) -> bool {
        let waits = |(number, exchange): (&u64, &super::Exchange<M>)| match exchange.state {
            State::Published => self.is_sent(*number),
            State::Released { .. } => !self.is_withheld(*number),
            State::Received { .. } => true,
            State::Refused | State::Done => false,
        };
        self.passing.is_empty() && !self.exchanges.iter().any(waits)
    }

    /// The newest exchange that is not over.
    pub fn newest(&self) -> u64 {
        let open = self.exchanges.iter().rev().find(|(_, exchange)| exchange.state != State::Done);
        let passing = self.passing.keys().next_back().copied().unwrap_or(0);
        open.map_or(0, |(number, _)| *number).max(passing)
    }

    /// Whether much of the window is held by what waits for the disk alone.
    pub fn is_held_by_disk(&self) -> bool {
        self.closing > 0 && self.closing * 2 >= usize::from(self.window.all)
    }

    pub fn progress(&self, number: u64) -> Progress {
        match self.exchanges.get(&number).map(|exchange| exchange.state) {
            None => match self.passing.get(&number) {
                Some(Passing::Written) => Progress::Passing,
                Some(Passing::Answered { .. }) => Progress::Sent,
                None => Progress::Unsent,
            },
            Some(State::Published | State::Refused) => Progress::Sent,
            Some(State::Received { .. } | State::Released { .. }) => Progress::Received,
            Some(State::Done) => Progress::Over,
        }
    }

    /// On this connection.
    fn is_sent(&self, number: u64) -> bool {
        self.resend.binary_search(&number).is_err()
    }
}

fn is_published<M>(exchange: &super::Exchange<M>) -> bool {
    exchange.state == State::Published
}
