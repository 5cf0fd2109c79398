//! A new connection of the same session: what is sent again, in which order, and what it is then.

use super::acks::success;
use super::{Outgoing, Sender, State, Window};
use crate::base::fault::{self, Fault};
use crate::message::{Message, QoS};
use crate::mqtt::Ack;
use crate::mqtt::client::Publish;

/// A PUBLISH to be sent again: at QoS 0 no longer an exchange, and named by its number alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeat {
    pub number: u64,
    pub publish: Publish,
}

/// What of an exchange goes into its PUBLISH again, beside the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    pub number: u64,
    pub packet_id: u16,
    /// Not after a refusal: the exchange is a new one then.
    pub dup: bool,
}

// === impl Sender ===

impl<M: Outgoing> Sender<M> {
    /// A new connection that kept the session: the PUBRELs to send first. What waits to be repeated comes after them.
    pub fn resume(&mut self, window: Window) -> Vec<Ack> {
        self.connect(window);
        self.tell_abandoned_again();
        self.resend.clear();
        let mut released = Vec::new();
        for (number, exchange) in &self.exchanges {
            match exchange.state {
                State::Published => self.resend.push_back(*number),
                State::Refused if exchange.message.is_some() => self.resend.push_back(*number),
                State::Released { sequence } => released.push((sequence, exchange.packet_id)),
                State::Received { .. } | State::Refused | State::Done => {}
            }
        }
        released.sort_unstable();
        released.into_iter().map(|(_, packet_id)| success(packet_id)).collect()
    }

    /// What waits to be repeated on this connection, in order.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, &M)> {
        self.resend.iter().filter_map(|number| Some((*number, self.exchanges.get(number)?.message.as_ref()?)))
    }

    /// The next to be repeated as it is, when the window has room for it, and its message.
    pub fn next_again(&mut self) -> Option<(Again, &M)> {
        let again = self.take_again(self.next_waiting()?)?;
        let message = self.exchanges.get(&again.number)?.message.as_ref()?;
        Some((again, message))
    }

    pub fn next_waiting(&self) -> Option<u64> {
        let has_room = self.active() < usize::from(self.window.all);
        self.resend.front().copied().filter(|_| has_room)
    }

    fn take_again(&mut self, number: u64) -> Option<Again> {
        let place = self.resend.binary_search(&number).ok()?;
        self.resend.remove(place);
        let exchange = self.exchanges.get_mut(&number)?;
        let dup = std::mem::replace(&mut exchange.state, State::Published) == State::Published;
        Some(Again { number, packet_id: exchange.packet_id, dup })
    }
}

impl Sender<Message> {
    /// The next PUBLISH to repeat, when the window has room for it, as `fit` makes it for this server.
    pub fn next_resend(&mut self, fit: impl FnOnce(Message) -> Message) -> Option<Repeat> {
        self.repeat(self.next_waiting()?, fit)
    }

    /// One of those that wait to be repeated, out of turn. From then on it is an exchange of the QoS that it has got: a QoS 2 PUBLISH whose
    /// PUBREC is missing may arrive twice when it goes on at less.
    pub fn repeat(&mut self, number: u64, fit: impl FnOnce(Message) -> Message) -> Option<Repeat> {
        let Again { packet_id, dup, .. } = self.take_again(number)?;
        let exchange = self.exchanges.get_mut(&number)?;
        let was_exactly_once = exchange.is_exactly_once();
        let sent = exchange.message.take()?;
        let message = if fault::is_on(Fault::ResendsNotFitted) { sent } else { fit(sent) };
        exchange.message = Some(message.clone());
        if was_exactly_once && !exchange.is_exactly_once() {
            self.exactly_once -= 1;
            self.doubtful += u64::from(dup);
        }
        if message.qos == QoS::AtMostOnce {
            // No ack will come: it is over when it is written.
            self.exchanges.remove(&number);
            self.by_id.remove(packet_id);
            return Some(Repeat { number, publish: Publish { packet_id: 0, dup: false, message } });
        }
        Some(Repeat { number, publish: Publish { packet_id, dup, message } })
    }
}
