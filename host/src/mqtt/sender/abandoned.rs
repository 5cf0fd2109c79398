//! Packet ids of QoS 2 messages that were given up in the middle of an exchange. The receiver may hold them, and would take the next
//! message with such an id for a repetition: PUBREL tells it that they are free. Where that does not help, only a new session does.

use super::{Outgoing, Sender, State};
use crate::mqtt::{Ack, Reason};

/// Connections on which the server is told when it does not answer. Few: it may be one that closes on that PUBREL.
const TELLINGS: u8 = 2;

/// Is no packet id (MQTT 5, section 2.2.1).
const NO_ID: u16 = 0;

#[derive(Debug)]
pub(super) struct Abandoned {
    left: u8,
    /// To be told on this connection.
    due: bool,
}

// === impl Sender ===

impl<M: Outgoing> Sender<M> {
    /// Gives up a message whose PUBLISH was sent. `false` when it is over already.
    pub fn forsake(&mut self, number: u64) -> bool {
        if self.passed(number) {
            return true;
        }
        let exchange = self.exchanges.get(&number);
        // A refusal has closed the server's side, and at QoS 1 it has none. One that knows no QoS 2 closes on a PUBREL.
        let is_held = |open: &&super::Exchange<M>| open.state == State::Published && open.is_exactly_once();
        let held = exchange.filter(is_held).map(|exchange| exchange.packet_id);
        let is_received =
            |open: &&super::Exchange<M>| matches!(open.state, State::Received { .. } | State::Released { .. });
        self.unreleased.extend(exchange.filter(is_received).map(|exchange| exchange.packet_id));
        let is_ended = self.end(number).is_some();
        if let Some(packet_id) = held.filter(|_| is_ended) {
            self.abandoned.insert(packet_id, Abandoned { left: TELLINGS, due: true });
        }
        is_ended
    }

    /// The PUBRELs that are to be sent before anything new, each once on a connection.
    pub fn take_abandoned(&mut self) -> Vec<Ack> {
        let due = self.abandoned.iter_mut().filter(|(_, abandoned)| abandoned.due);
        let told = due.map(|(id, abandoned)| {
            *abandoned = Abandoned { left: abandoned.left - 1, due: false };
            Ack { packet_id: *id, reason: Reason::PACKET_IDENTIFIER_NOT_FOUND }
        });
        told.collect()
    }

    /// The process before this one knew of ids that the receiver may hold, and this one does not know which.
    pub fn distrust_ids(&mut self) {
        self.unreleased.insert(NO_ID);
    }

    /// Whether the receiver may hold packet ids for good in this session.
    pub fn has_unreleased(&self) -> bool {
        !self.unreleased.is_empty()
    }

    /// A PUBREL without its PUBCOMP may have been lost with the connection.
    pub(super) fn tell_abandoned_again(&mut self) {
        let unreleased = &mut self.unreleased;
        self.abandoned.retain(|id, abandoned| {
            let is_told = abandoned.left > 0;
            unreleased.extend((!is_told).then_some(*id));
            is_told
        });
        self.abandoned.values_mut().for_each(|abandoned| abandoned.due = true);
    }
}
