//! What a chain makes of one message.

use crate::config::OnFailure;
use crate::message::Message;
use crate::plugin::FailureKind;
use crate::spool::Change;

use super::job::Taken;

/// What became of one input, and what its plugins wrote down meanwhile: safe together, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub outcome: Outcome,
    /// In the order in which they were made. Of calls that succeeded, also when the input failed at a later plugin.
    pub changes: Vec<Change>,
    /// A plugin failed it and was left out, as the configuration has it: the first one that was.
    pub skipped: Option<Box<Failure>>,
    pub taken: Taken,
}

/// What the clock made in a chain.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TickResult {
    pub messages: Vec<Message>,
    /// One for each plugin that failed, or whose messages a later plugin failed on. There is no message to send there.
    pub failures: Vec<Failure>,
    pub changes: Vec<Change>,
    pub taken: Taken,
}

/// The value of a chain for one input: a test is one `assert_eq!`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// One message or many, in order. Never empty: nothing left over is `Filtered`.
    Outputs(Vec<Message>),
    /// A plugin dropped it.
    Filtered,
    /// A plugin could not handle it; the binding's `on_error` says what happens now.
    Failed(Box<Failure>),
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
    /// What becomes of the message because of it, where the plugin has a choice of its own; else the binding's.
    pub then: Option<OnFailure>,
}

// === impl Done ===

impl Done {
    /// Of a chain that remembers nothing.
    pub fn of(outcome: Outcome) -> Self {
        Self { outcome, changes: Vec::new(), skipped: None, taken: Taken::default() }
    }

    /// Bytes of what came out.
    pub fn weight(&self) -> usize {
        match &self.outcome {
            Outcome::Outputs(messages) => messages.iter().map(Message::weight).sum(),
            Outcome::Filtered | Outcome::Failed(_) => 0,
        }
    }
}

// === impl Failure ===

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { plugin, kind, detail, .. } = self;
        if plugin.is_empty() {
            return write!(f, "an output {kind}: {detail}");
        }
        write!(f, "plugin `{plugin}` {kind}: {detail}")
    }
}
