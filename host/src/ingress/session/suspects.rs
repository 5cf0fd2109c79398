//! What the session does about a message on which its device closes: see [`Isolation`].

use tokio::time::Instant;

use super::*;

/// A message that this device will not get.
#[derive(Debug)]
pub struct GivenUp {
    pub message: Message,
}

impl Session {
    /// The device has closed the connection, or vanished, without a good-bye.
    pub fn ended_abruptly(&mut self, now: Instant) -> Option<GivenUp> {
        let oldest = self.outbound.oldest_unacknowledged();
        let packet_id = self.isolation.ended(oldest, now)?;
        let message = self.outbound.message(packet_id)?.clone();
        let number = self.outbound.abandon(packet_id);
        self.finish(number);
        self.isolation.give_up(message.clone());
        Some(GivenUp { message })
    }

    /// Whether something may be sent to the device now, as far as suspicion goes.
    pub(super) fn is_held_back(&self, now: Instant) -> bool {
        let Some(quiet_until) = self.isolation.quiet_until() else { return false };
        now < quiet_until || self.outbound.oldest_unacknowledged().is_some()
    }

    /// When a message may be sent that is held back now.
    pub fn held_back_until(&self) -> Option<Instant> {
        self.isolation.quiet_until()
    }

    /// Whether this is the very message on which the device closes, retained and here again with a SUBSCRIBE. One that is published
    /// anew has the same bytes, perhaps, and is tried: the device may have been mended.
    pub fn is_given_up(&self, delivery: &Delivery) -> bool {
        delivery.is_replay && self.isolation.is_given_up(&delivery.message)
    }
}
