//! What one input may cause in this gateway, over all hops together.
//!
//! A plugin that makes a hundred messages of one is usual; four such stages behind each other would make a hundred million, each of
//! which meets subscribers and bindings. Hops bound how deep it goes, this bounds how wide: a message at the end takes from the same
//! allowance as one at the beginning. Not a limit for each hop, which multiplies; not a rate, because a device that sends seldom is
//! no better for it.
//!
//! What finds nothing left has failed, and takes the `on_error` of its binding. That is said once for each input.
//!
//! **Of what it causes few have a dead letter of their own** ([`MAX_LETTERS`]). When more fail, whatever the cause, the input itself becomes one:
//! what the others would have said is in it, and it is sent again as a whole. Four stages of a hundred made four thousand letters of each input, and the
//! disk of everybody was busy with them.
//!
//! All of it weighs on the lane of the input, which takes up nothing new while that is much ([`Lane`](crate::chain::Lane)): a device may
//! have a hundred inputs under way, and a lane thousands.
//!
//! A message that is written down and taken up after a restart begins a new allowance: it is one of a bounded number.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use smallvec::{SmallVec, smallvec};

use super::route::Inbound;
use crate::base::held_bytes::HeldPart;
use crate::chain::LANE_CAPACITY;
use crate::config::BindingId;
use crate::message::{Message, Origin};

/// As many as a binding has places for: one input alone never makes others, or itself, go for want of them.
pub(super) const MAX_MESSAGES: usize = LANE_CAPACITY;
pub(super) const MAX_BYTES: usize = 16 << 20;

/// So many weigh nothing: an input of which a few come is held by its places, and its lane need not know.
const FEW: usize = 8;

/// What a message takes beside its weight while it waits: whose it is, and who waits for it.
const BOOKKEEPING: usize = 512;

/// Dead letters of what an input has caused, before it becomes one: enough to see what is wrong.
pub(super) const MAX_LETTERS: u32 = 16;

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
    /// Of what it has caused.
    letters: u32,
    /// None of a tick, which has no message.
    begun: Option<Begun>,
}

/// The input as it came, and the bindings that made something of it.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub bindings: SmallVec<[BindingId; 1]>,
    message: Message,
    origin: Arc<Origin>,
    arrived: Instant,
    attempts: u32,
}

/// Which dead letter is made of something that has failed.
#[derive(Debug)]
pub(super) enum Letter {
    Own,
    /// The input's, in the place of this one and of all that follow.
    OfInput(Begun),
    /// There is one of the input.
    Limited,
}

// === impl Caused ===

impl Caused {
    /// By an input, in the first of its bindings that makes something of it.
    fn by(inbound: &Inbound, binding: BindingId) -> Self {
        let Inbound { message, origin, arrived, attempts, .. } = inbound;
        let (message, origin, bindings) = (message.clone(), origin.clone(), smallvec![binding]);
        let begun = Begun { bindings, message, origin, arrived: *arrived, attempts: *attempts };
        Self(Mutex::new(Taken { begun: Some(begun), ..Taken::default() }))
    }

    /// In another one, too.
    pub(super) fn begins_at(&self, binding: BindingId) {
        if let Some(begun) = &mut self.lock().begun
            && !begun.bindings.contains(&binding)
        {
            begun.bindings.push(binding);
        }
    }

    /// One more has failed.
    pub(super) fn letter(&self) -> Letter {
        let mut taken = self.lock();
        taken.letters = taken.letters.saturating_add(1);
        match &taken.begun {
            _ if taken.letters <= MAX_LETTERS => Letter::Own,
            Some(begun) if taken.letters == MAX_LETTERS + 1 => Letter::OfInput(begun.clone()),
            _ => Letter::Limited,
        }
    }

    /// The letter of the input was not written: the next one is.
    pub(super) fn return_letter(&self) {
        self.lock().letters = MAX_LETTERS;
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them or none.
    pub(super) fn take(&self, messages: &[Message]) -> bool {
        let mut taken = self.lock();
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
        self.lock().held = Some(lane);
    }

    /// Whether it is said for the first time that nothing is left.
    pub(super) fn is_to_tell(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_told, true)
    }
}

// === impl Begun ===

impl Begun {
    /// As it came, for its letter.
    pub(super) fn into_inbound(self) -> Inbound {
        let Self { message, origin, arrived, attempts, .. } = self;
        Inbound { arrived, attempts, ..Inbound::internal(message, origin) }
    }
}

// === impl Inbound ===

impl Inbound {
    /// A new allowance where it begins.
    pub(super) fn allowance(&self, binding: BindingId) -> Arc<Caused> {
        self.caused.clone().unwrap_or_else(|| Arc::new(Caused::by(self, binding)))
    }
}
