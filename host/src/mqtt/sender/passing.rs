//! Numbers that hold a place in the window and wait for no ack.

use super::{Exchange, Outgoing, Sender, State, packet_id};

/// When a message of QoS 0 is over that must not be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// When it is written: whoever published it has asked for no more.
    Written,
    /// When the receiver has answered a packet that was sent after it. It was acknowledged at QoS 1 or 2 and is lowered for a server
    /// that knows no more than 0: what is written and not read is lost with the connection, and nobody would hear of it.
    Answered { was_exactly_once: bool },
}

// === impl Sender ===

impl<M: Outgoing> Sender<M> {
    /// A message that is over without being sent. It takes a place like the others until that is durable: the window of the
    /// oldest must cover all that was sent, whatever was left out between.
    pub fn leave_out(&mut self, number: u64) {
        self.unanswered.remove(&number);
        // Its end is confirmed once: a second place would never be free again.
        if self.exchanges.contains_key(&number) {
            return;
        }
        self.open(number, Exchange { packet_id: packet_id(number), message: None, state: State::Done });
        self.closing += 1;
    }

    /// It is being written. It has no exchange, and takes a place all the same, as in [`Sender::leave_out`].
    pub fn pass(&mut self, number: u64, passing: Passing) {
        if passing == (Passing::Answered { was_exactly_once: true }) {
            let may_have_been_sent = number < self.sent_below.max(self.doubtful_below);
            self.doubtful += u64::from(may_have_been_sent || self.unanswered.contains(&number));
        }
        self.passing.insert(number, passing);
    }

    /// It is over, but for the disk. `false` when that was known.
    pub fn passed(&mut self, number: u64) -> bool {
        let was_passing = self.passing.remove(&number).is_some();
        if was_passing {
            self.leave_out(number);
        }
        was_passing
    }

    /// The connection is over, and with it what was being written. What had no answer may have arrived.
    pub fn disconnected(&mut self) {
        let passing = std::mem::take(&mut self.passing).into_iter();
        let unanswered = passing.filter(|(_, passing)| *passing != Passing::Written);
        self.unanswered.extend(unanswered.map(|(number, _)| number));
    }

    /// The oldest that waits for an answer.
    pub(super) fn oldest_unanswered(&self) -> Option<u64> {
        let waits = |(_, passing): &(&u64, &Passing)| **passing != Passing::Written;
        self.passing.iter().find(waits).map(|(number, _)| *number)
    }
}
