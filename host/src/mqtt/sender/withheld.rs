//! PUBRELs that could go and wait: while it is looked for the message on which the receiver ends the connection, one step of one exchange
//! is out at a time.

use std::collections::vec_deque::Iter;
use std::iter::Copied;

use super::acks::success;
use super::{Ack, Outgoing, Sender, State};

// === impl Sender ===

impl<M: Outgoing> Sender<M> {
    /// Instead of sending the PUBRELs that [`Sender::resume`] gave: each goes by [`Sender::release_withheld`].
    pub fn withhold_releases(&mut self) {
        let released = |(number, exchange): (&u64, &super::Exchange<M>)| match exchange.state {
            State::Released { sequence } => Some((sequence, *number)),
            _ => None,
        };
        let mut released: Vec<_> = self.exchanges.iter().filter_map(released).collect();
        released.sort_unstable();
        self.withheld = released.into_iter().map(|(_, number)| number).collect();
    }

    /// In the order of their PUBRECs.
    pub fn withheld(&self) -> Copied<Iter<'_, u64>> {
        self.withheld.iter().copied()
    }

    /// The PUBREL of this one, which goes now.
    pub fn release_withheld(&mut self, number: u64) -> Option<Ack> {
        let place = self.withheld.iter().position(|other| *other == number)?;
        self.withheld.remove(place);
        Some(success(self.exchanges.get(&number)?.packet_id))
    }

    pub(super) fn is_withheld(&self, number: u64) -> bool {
        self.withheld.contains(&number)
    }
}
