//! Numbers that hold a place in the window and wait for no ack.

use super::{Exchange, Outgoing, Sender, State, packet_id};

// === impl Sender ===

impl<M: Outgoing> Sender<M> {
    /// A message that is over without being sent. It takes a place like the others until that is durable: the window of the
    /// oldest must cover all that was sent, whatever was left out between.
    pub fn leave_out(&mut self, number: u64) {
        // Its end is confirmed once: a second place would never be free again.
        if self.exchanges.contains_key(&number) {
            return;
        }
        self.open(number, Exchange { packet_id: packet_id(number), message: None, state: State::Done });
        self.closing += 1;
    }

    /// A message of QoS 0 that must not be forgotten is being written. It has no exchange, and takes a place all the same, as in
    /// [`Sender::leave_out`].
    pub fn pass(&mut self, number: u64) {
        self.passing.insert(number);
    }

    /// It is written, and over but for the disk.
    pub fn passed(&mut self, number: u64) {
        if self.passing.remove(&number) {
            self.leave_out(number);
        }
    }
}
