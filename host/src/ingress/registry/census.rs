//! How many sessions there are, and what they hold, for those who watch the gateway.

use super::*;
use crate::bus::{BusCensus, Holding};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    pub connected: usize,
    /// Sessions whose devices are away.
    pub away: usize,
    /// Messages that wait for them all, sent ones not.
    pub queued: usize,
    pub queued_bytes: usize,
    pub bus: BusCensus,
}

impl Registry {
    /// A walk over all sessions.
    pub fn census(&self) -> Census {
        let mut census = Census { queued_bytes: self.queued_bytes(), bus: self.bus.census(), ..Census::default() };
        for slot in self.lock().values() {
            match slot {
                Slot::Connected { .. } => census.connected += 1,
                Slot::Away(_) => census.away += 1,
                Slot::Ending => {}
            }
            let Holding { messages, .. } = slot.mailbox().map_or_else(Holding::default, |mailbox| mailbox.holding());
            census.queued += messages;
        }
        census
    }
}
