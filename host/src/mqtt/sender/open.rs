//! Where exchanges begin: the window and the packet ids.

use super::{Exchange, Outgoing, Released, Rules, Sender, State};
use crate::message::{Message, QoS};
use crate::mqtt::client::Publish;

/// Packet ids are 1 to this.
const IDS: u64 = 65_535;

/// The packet id of the message with this number. Any 65,535 numbers in a row have different ones; 0 is not an id.
pub fn packet_id(number: u64) -> u16 {
    (number % IDS) as u16 + 1
}

/// The first PUBLISH of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    /// An earlier process may have sent it in this session.
    pub dup: bool,
}

// === impl Sender ===

impl<M: Outgoing> Sender<M> {
    /// How many new exchanges may begin now, whatever their QoS. None while something old waits to be repeated.
    pub fn room(&self) -> usize {
        if self.passes {
            // What this connection has not sent does not count against its quota (MQTT 5, section 4.9).
            let sent = self.exchanges.len() - self.resend.len() - self.withheld.len();
            return usize::from(!self.blocked && sent < usize::from(self.limit));
        }
        if self.blocked || !self.resend.is_empty() {
            return 0;
        }
        let all = usize::from(self.window.all).saturating_sub(self.active());
        let exactly_once = usize::from(self.window.exactly_once).saturating_sub(self.exactly_once);
        all.min(exactly_once)
    }

    /// How many may be open at once on this connection.
    pub fn window(&self) -> usize {
        self.window.all.into()
    }

    /// The next may begin although others wait to be repeated, and nothing else is sent: one at a time.
    pub fn let_pass(&mut self, passes: bool) {
        self.passes = passes;
    }

    /// Whether no open exchange has this packet id.
    pub fn is_free(&self, packet_id: u16) -> bool {
        !self.by_id.has(packet_id)
    }

    /// Whether an exchange with this number can begin now, under the id that follows from it: there is room, it has not begun, and its
    /// id is free.
    pub fn admit(&mut self, number: u64) -> bool {
        let is_begun = self.contains(number);
        self.blocked |= !is_begun && !self.is_free(packet_id(number));
        !is_begun && self.room() > 0
    }

    /// Begins an exchange, whose number and packet id are not in use: the caller has seen to that, and to the window.
    pub fn begin(&mut self, number: u64, packet_id: u16, message: M) -> First {
        let is_doubtful = number < self.doubtful_below && message.qos() == QoS::ExactlyOnce;
        self.doubtful += u64::from(is_doubtful);
        // It is this one's from now on: a PUBREL would end the wrong exchange.
        self.abandoned.remove(&packet_id);
        self.open(number, Exchange { packet_id, message: Some(message), state: State::Published });
        First { dup: number < self.sent_below }
    }

    /// An exchange of an earlier process that the receiver had answered with PUBREC.
    pub fn restore_released(&mut self, Released { number, sequence }: Released, packet_id: u16, message: Option<M>) {
        self.releases = self.releases.max(sequence);
        self.open(number, Exchange { packet_id, message, state: State::Released { sequence } });
    }

    /// Whether it has begun here, with an exchange or without.
    pub fn contains(&self, number: u64) -> bool {
        self.exchanges.contains_key(&number) || self.passing.contains_key(&number)
    }

    /// Exchanges that are open on this connection.
    pub(super) fn active(&self) -> usize {
        self.exchanges.len() - self.resend.len() + self.passing.len()
    }

    pub(super) fn open(&mut self, number: u64, exchange: Exchange<M>) {
        self.exactly_once += usize::from(exchange.is_exactly_once());
        self.by_id.insert(exchange.packet_id, number);
        self.exchanges.insert(number, exchange);
    }
}

impl Sender<Message> {
    /// Of a client, in the state that an earlier process has left.
    pub fn recover(limit: u16, sent_below: u64, released: &[Released]) -> Self {
        let mut sender = Self::new(Rules::TO_SERVER, limit, sent_below);
        for released in released {
            sender.restore_released(*released, packet_id(released.number), None);
        }
        sender
    }

    /// Begins an exchange that [`Sender::admit`] lets begin. `None` when it does not.
    pub fn publish(&mut self, number: u64, message: Message) -> Option<Publish> {
        if !self.admit(number) {
            return None;
        }
        let packet_id = packet_id(number);
        let First { dup } = self.begin(number, packet_id, message.clone());
        Some(Publish { packet_id, dup, message })
    }
}
