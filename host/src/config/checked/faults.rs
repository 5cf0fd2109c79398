//! What a binding does about messages that its plugins fail.

use std::time::Duration;

use crate::topic::Template;

/// What a chain does about faults by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPolicy {
    /// For each plugin, in order, what becomes of a message that it fails. What is missing is as the binding says.
    pub on_failure: Vec<OnFailure>,
    pub retry: Retry,
    pub breaker: BreakerLimits,
}

/// For failures that a plugin calls transient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// With the first one: 1 means that nothing is tried again.
    pub attempts: u32,
    /// Before the second attempt; doubles with each.
    pub backoff: Duration,
}

/// So many faults in so much time, and the plugin is not asked in this binding for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    pub faults: usize,
    pub within: Duration,
    pub open_for: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Publish the original to this local topic, with the reason as user properties.
    DeadLetter {
        topic: Template,
    },
    Drop,
    /// Go on without the plugin that failed.
    Pass,
}

/// What becomes of a message that a plugin fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    DeadLetter,
    Drop,
    /// This plugin is left out for this message, which goes on as it came there.
    Pass,
}

// === impl FaultPolicy ===

impl FaultPolicy {
    /// Each message for itself: nothing is tried again and no breaker opens. For rehearsals, where no time passes.
    pub const NONE: Self = Self {
        on_failure: Vec::new(),
        retry: Retry { attempts: 1, backoff: Duration::ZERO },
        breaker: BreakerLimits { faults: usize::MAX, within: Duration::ZERO, open_for: Duration::ZERO },
    };
}

// === impl OnError ===

impl OnError {
    /// For a plugin that has no choice of its own.
    pub fn of_plugins(&self) -> OnFailure {
        match self {
            Self::DeadLetter { .. } => OnFailure::DeadLetter,
            Self::Drop => OnFailure::Drop,
            Self::Pass => OnFailure::Pass,
        }
    }

    /// Where dead letters are published, beside the archive.
    pub fn topic(&self) -> Option<&Template> {
        match self {
            Self::DeadLetter { topic } => Some(topic),
            Self::Drop | Self::Pass => None,
        }
    }
}
