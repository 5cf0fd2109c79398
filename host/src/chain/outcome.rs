//! What a chain makes of one message.

use crate::message::Message;
use crate::spool::Change;

/// What became of one input, and what its plugins wrote down meanwhile: safe together, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub outcome: Outcome,
    /// In the order in which they were made. Of calls that succeeded, also when the input failed at a later plugin.
    pub changes: Vec<Change>,
}

/// What the clock made in a chain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    pub messages: Vec<Message>,
    /// One for each plugin that failed, or whose messages a later plugin failed on. There is no message to send there.
    pub failures: Vec<Failure>,
    pub changes: Vec<Change>,
}

/// The value of a chain for one input: a test is one `assert_eq!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// One message or many, in order. Never empty: nothing left over is `Filtered`.
    Outputs(Vec<Message>),
    /// A plugin dropped it.
    Filtered,
    /// A plugin could not handle it; the binding's `on_error` says what happens now.
    Failed(Failure),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Empty where no plugin is to blame: the binding has no destination that can take its output.
    pub plugin: String,
    pub kind: FailureKind,
    /// The plugin's own words or the trap's, cut to `plugin::limits::MAX_DETAIL_BYTES` and free of control characters.
    pub detail: String,
    /// How often the plugin was asked; more than once only where it said that the failure was transient.
    pub attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The plugin answered with a failure: this message is bad for it, the instance is good.
    Refused { transient: bool },
    /// The instance trapped (panic, out of bounds, stack) and was replaced.
    Trapped,
    /// The call passed its deadline and the instance was replaced.
    Deadline,
    /// The plugin wanted more memory than its limit and was replaced.
    Memory,
    /// The plugin answered something that is no valid message: a bad topic, too many outputs.
    Invalid,
    /// No instance could be started.
    Unavailable,
    /// The plugin was not asked: it rests after too many faults.
    Resting,
    /// A destination's template makes no topic of it.
    NoTopic,
    /// It has been republished as often as a message may be.
    Looped,
    /// One record of the spool has no room for all that came out.
    TooLarge,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { plugin, kind, detail, .. } = self;
        if plugin.is_empty() {
            return write!(f, "an output {kind}: {detail}");
        }
        write!(f, "plugin `{plugin}` {kind}: {detail}")
    }
}

impl std::fmt::Display for FailureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Refused { transient: false } => "refused the message",
            Self::Refused { transient: true } => "cannot handle the message now",
            Self::Trapped => "trapped",
            Self::Deadline => "passed its deadline",
            Self::Memory => "passed its memory limit",
            Self::Invalid => "gave an invalid answer",
            Self::Unavailable => "could not be started",
            Self::Resting => "rests after too many faults",
            Self::NoTopic => "has no topic to go to",
            Self::Looped => "is republished in a circle",
            Self::TooLarge => "is too large together with the others",
        })
    }
}
