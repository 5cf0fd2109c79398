//! Exchanges that end, or begin anew, because the caller says so.

use super::{Outgoing, Sender, State};

// === impl Sender ===

impl<M: Outgoing> Sender<M> {
    /// Ends an exchange whose PUBLISH cannot be sent to this receiver. Its number, and its message.
    pub fn abandon(&mut self, packet_id: u16) -> Option<(u64, Option<M>)> {
        let number = self.by_id.get(packet_id)?;
        let message = self.end(number)?.message;
        Some((number, message))
    }

    /// The receiver has refused this one, which is to be sent again: it keeps its place until then.
    pub fn postpone(&mut self, number: u64) {
        if let Some(exchange) = self.exchanges.get_mut(&number).filter(|exchange| exchange.state == State::Done) {
            exchange.state = State::Refused;
            self.closing -= 1;
        }
    }

    /// It begins anew.
    pub fn again(&mut self, number: u64, message: M) {
        let waits = |exchange: &&mut super::Exchange<M>| exchange.state == State::Refused && exchange.message.is_none();
        let Some(exchange) = self.exchanges.get_mut(&number).filter(waits) else { return };
        exchange.message = Some(message);
        self.exactly_once += usize::from(exchange.is_exactly_once());
        let place = self.resend.partition_point(|other| *other < number);
        self.resend.insert(place, number);
    }

    /// Ends an exchange that waits to begin anew. `false` when it does not.
    pub fn give_up(&mut self, number: u64) -> bool {
        let waits = self.exchanges.get(&number).is_some_and(|exchange| exchange.state == State::Refused);
        waits && self.end(number).is_some()
    }
}
