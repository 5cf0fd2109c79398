//! What a lane is given to do.

use std::num::NonZeroU64;
use std::sync::Arc;

use crate::message::{Message, Origin};

use super::outcome::{Done, TickResult};

/// Called once with what has come of it.
pub type Finish<T> = Box<dyn Finisher<T>>;

/// A closure as a rule. What is large, and there for each message, has this for itself: it stays where it is, and a boxed closure would be moved out of
/// its box to be called.
pub trait Finisher<T>: Send {
    fn finish(self: Box<Self>, of: T);
}

impl<T, F: FnOnce(T) + Send> Finisher<T> for F {
    fn finish(self: Box<Self>, of: T) {
        (*self)(of);
    }
}

/// A message for a chain, and what to do with what becomes of it.
pub struct Job {
    pub message: Message,
    pub origin: Arc<Origin>,
    /// Nothing but its device waits for it: it is no message that was republished, and leaves in no order with others.
    pub may_wait: bool,
    pub rank: Rank,
    /// Called on a worker thread, in the order in which jobs are taken up: it must not block. Dropped uncalled when the gateway stops first:
    /// the message is then not acknowledged, and its device sends it again.
    pub done: Finish<Done>,
}

/// The clock's turn in a lane, between its jobs. It has a turn as a client has.
pub struct Tick {
    /// In milliseconds since the Unix epoch.
    pub now_ms: u64,
    pub rank: Rank,
    /// As of a [`Job`].
    pub done: Finish<TickResult>,
}

/// How a job stands to the others of its lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rank {
    /// Behind those of its client.
    #[default]
    Client,
    /// The same. What comes of the jobs of this lane leaves in the order of these places, and has to leave in the order in which the jobs
    /// are taken up: so they are given back in that order, whoever brought them ([`Taken::place`]).
    Placed(NonZeroU64),
    /// Behind all that came before it, and before all that come later.
    Fixed,
}

/// How a lane has taken up a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The one it has now, where it brought one.
    pub place: Option<NonZeroU64>,
    /// It has waited in the queue of its client: what came later, of another one, may be done already.
    pub is_overtaken: bool,
    /// Which of the lane's chains it went through, counted from 0.
    pub generation: u32,
}

/// What waits in a lane.
pub(super) enum Work {
    Job(Job),
    Tick(Tick),
}

// === impl Work ===

impl Work {
    pub fn rank(&self) -> Rank {
        match self {
            Self::Job(job) => job.rank,
            Self::Tick(tick) => tick.rank,
        }
    }

    /// Whose it is; the clock is nobody's.
    pub fn client(&self) -> Option<&Arc<str>> {
        match self {
            Self::Job(job) => Some(&job.origin.client),
            Self::Tick(_) => None,
        }
    }

    pub fn weight(&self) -> usize {
        match self {
            Self::Job(job) => job.message.weight(),
            Self::Tick(_) => 0,
        }
    }

    /// Others may wait for it.
    pub fn is_urgent(&self) -> bool {
        matches!(self, Self::Job(job) if !job.may_wait)
    }
}
