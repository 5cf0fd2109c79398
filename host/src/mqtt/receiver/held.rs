//! Packets that say "this is safe" and wait until it is: PUBCOMP, PUBREL, SUBACK, UNSUBACK. They leave in the order in
//! which they were promised.

use std::collections::VecDeque;

use crate::mqtt::Packet;

/// With so many, reading pauses. A sender that subscribes faster than the disk writes has nothing else to slow it down.
pub const MAX_HELD: usize = 256;

#[derive(Debug, Default)]
pub struct Held(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    packet: Packet,
    is_safe: bool,
}

// === impl Held ===

impl Held {
    /// Tickets rise.
    pub fn push(&mut self, ticket: u64, packet: Packet) {
        self.0.push_back(Waiting { ticket, packet, is_safe: false });
    }

    /// The packets that may leave now.
    pub fn done(&mut self, ticket: u64) -> impl Iterator<Item = Packet> {
        if let Ok(at) = self.0.binary_search_by_key(&ticket, |waiting| waiting.ticket)
            && let Some(waiting) = self.0.get_mut(at)
        {
            waiting.is_safe = true;
        }
        std::iter::from_fn(|| self.0.pop_front_if(|waiting| waiting.is_safe)).map(|waiting| waiting.packet)
    }

    pub fn has(&self, ticket: u64) -> bool {
        self.0.binary_search_by_key(&ticket, |waiting| waiting.ticket).is_ok()
    }

    pub fn is_full(&self) -> bool {
        self.0.len() >= MAX_HELD
    }

    /// A new connection knows of PUBRELs only: whatever else is asked for again by its device.
    pub fn reconnect(&mut self) {
        self.0.retain(|waiting| matches!(waiting.packet, Packet::PubRel(_)));
    }
}
