//! What one input may cause in this gateway, over all hops together.
//!
//! A plugin that makes a hundred messages of one is usual; four such stages behind each other would make a hundred million, each of
//! which meets subscribers and bindings. Hops bound how deep it goes, this bounds how wide: a message at the end takes from the same
//! allowance as one at the beginning. Not a limit for each hop, which multiplies; not a rate, because a device that sends seldom is
//! no better for it.
//!
//! What finds nothing left has failed, and takes the `on_error` of its binding. That is said once for each input.
//!
//! All of it weighs on the lane of the input, which takes up nothing new while that is much ([`Lane`](crate::chain::Lane)): a device may
//! have a hundred inputs under way, and a lane thousands.
//!
//! A message that is written down and taken up after a restart begins a new allowance: it is one of a bounded number.

use std::sync::{Mutex, PoisonError};

use super::route::Inbound;
use crate::base::held_bytes::HeldPart;
use crate::chain::LANE_CAPACITY;
use crate::message::Message;

/// As many as a binding has places for: one input alone never makes others, or itself, go for want of them.
pub(super) const MAX_MESSAGES: usize = LANE_CAPACITY;
pub(super) const MAX_BYTES: usize = 16 << 20;

/// So many weigh nothing: an input of which a few come is held by its places, and its lane need not know.
const FEW: usize = 8;

/// What a message takes beside its weight while it waits: whose it is, and who waits for it.
const BOOKKEEPING: usize = 512;

/// Shared by an input and all that comes of it.
#[derive(Debug, Default)]
pub struct Caused(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    messages: usize,
    bytes: usize,
    is_told: bool,
    /// Of the lane of the input.
    held: Option<HeldPart>,
}

// === impl Caused ===

impl Caused {
    /// All of them or none.
    pub(super) fn take(&self, messages: &[Message]) -> bool {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, weight) = (messages.len(), messages.iter().map(Message::weight).sum::<usize>());
        let (messages, bytes) = (taken.messages + count, taken.bytes + weight);
        if messages > MAX_MESSAGES || bytes > MAX_BYTES {
            return false;
        }
        let many = messages.saturating_sub(FEW).min(count);
        (taken.messages, taken.bytes) = (messages, bytes);
        if many > 0 {
            taken.held.iter_mut().for_each(|held| held.grow(weight / count * many + many * BOOKKEEPING));
        }
        true
    }

    /// From now on, until all of it is done.
    pub(super) fn weigh_on(&self, lane: HeldPart) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).held = Some(lane);
    }

    /// Whether it is said for the first time that nothing is left.
    pub(super) fn is_to_tell(&self) -> bool {
        !std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).is_told, true)
    }
}

// === impl Inbound ===

impl Inbound {
    /// A new allowance for what a device or a clock has caused.
    pub(super) fn allowance(&self) -> std::sync::Arc<Caused> {
        self.caused.clone().unwrap_or_default()
    }
}
