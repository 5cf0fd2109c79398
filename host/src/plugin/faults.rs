//! Why a plugin gave no verdict, in the chain's vocabulary.
//!
//! wasmtime reports everything as one error type; here it is sorted by what it *is*, never by its words:
//! - `Trap::Interrupt`: the call has used up its time;
//! - our own `MemoryExceeded`, wherever in the chain of causes;
//! - any other trap, a WASI `exit`, a refused wait: the guest's doing;
//! - what remains is an answer that the host could not read: too much of it, text that is not UTF-8, a bad discriminant.

use std::time::Duration;

use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

use super::capability::Waited;
use super::limits::MAX_DETAIL_BYTES;
use super::memory::{MemoryExceeded, TableExceeded, TotalExceeded};
use super::text::printable;

/// The outer error is the end of the instance, the inner one concerns the message.
pub type CallResult<T> = Result<Result<T, Fault>, Fault>;

/// A failure without the plugin's name, which the stage adds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Fault {
    pub kind: FailureKind,
    pub detail: String,
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
    /// The plugin was not asked: its circuit breaker is open after too many faults.
    BreakerOpen,
    /// No plugin's fault: a destination's template makes no topic of an output.
    NoTopic,
    /// No plugin's fault: it has been republished as often as a message may be.
    Looped,
    /// One record of the spool has no room for all that came out.
    TooLarge,
    /// No plugin's fault: its input has caused all that one may, over all hops.
    TooMany,
}

/// What one call may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallBounds {
    pub deadline: Duration,
    /// Which of `limits` says so.
    pub setting: &'static str,
    /// That may cross between plugin and host.
    pub bytes: usize,
}

/// The one error that is known by its words: its type is not public (wasmtime 48). They decide about a text only, and a test reads them.
fn is_too_much(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().contains("allocated for hostcalls")
}

// === impl Fault ===

impl Fault {
    pub fn new(kind: FailureKind, detail: &str) -> Self {
        Self { kind, detail: printable(detail, MAX_DETAIL_BYTES) }
    }

    pub fn invalid(detail: impl std::fmt::Display) -> Self {
        Self::new(FailureKind::Invalid, &detail.to_string())
    }

    /// Of a call that ended with `error`, and perhaps a panic.
    pub(super) fn of_call(error: &wasmtime::Error, bounds: CallBounds, panic: Option<String>) -> Self {
        let kind = kind(error);
        let detail = match kind {
            FailureKind::Deadline => format!("no answer within {:?} (`limits.{}`)", bounds.deadline, bounds.setting),
            FailureKind::Invalid if is_too_much(error) => format!(
                "more than the {} bytes that may cross in one call: raise `limits.max_output_bytes`, or put out less",
                bounds.bytes
            ),
            FailureKind::Trapped => panic.unwrap_or_else(|| error.root_cause().to_string()),
            _ => error.root_cause().to_string(),
        };
        Self::new(kind, &detail)
    }
}

// === impl FailureKind ===

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
            Self::BreakerOpen => "has an open circuit breaker",
            Self::NoTopic => "has no topic to go to",
            Self::Looped => "is republished in a circle",
            Self::TooLarge => "is too large together with the others",
            Self::TooMany => "is one too many",
        })
    }
}

fn kind(error: &wasmtime::Error) -> FailureKind {
    if error.is::<MemoryExceeded>() || error.is::<TotalExceeded>() {
        return FailureKind::Memory;
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => FailureKind::Deadline,
        Some(Trap::AllocationTooLarge) => FailureKind::Memory,
        Some(_) => FailureKind::Trapped,
        None if error.is::<I32Exit>() || error.is::<Waited>() || error.is::<TableExceeded>() => FailureKind::Trapped,
        None => FailureKind::Invalid,
    }
}

/// `panicked at src/lib.rs:7:9: what it said`, of what Rust's standard library prints when a plugin panics. For one that has not seen a
/// message yet.
pub(super) fn panic_message(stderr: &str) -> Option<String> {
    let panic = stderr.get(stderr.rfind("panicked at ")?..)?;
    let panic = panic.split("\nnote: ").next().unwrap_or(panic).trim_end();
    Some(panic.replacen(":\n", ": ", 1))
}

/// The same without what it said: an `unwrap` of what was read of a payload says what was read.
pub(super) fn panic_place(stderr: &str) -> Option<String> {
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    let place = |line: &str| {
        let place = line.split_once("panicked at ")?.1.strip_suffix(':')?;
        place.rsplit(':').take(2).all(is_number).then(|| format!("panicked at {place}"))
    };
    stderr.lines().rev().find_map(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_in_one_line_and_behind_a_message_by_its_place() {
        let stderr = "hello\n\nthread '<unnamed>' (1) panicked at src/lib.rs:7:9:\nindex out of bounds\nnote: run with `RUST_BACKTRACE=1`\n";
        assert_eq!(panic_place(stderr).unwrap(), "panicked at src/lib.rs:7:9");
        assert_eq!(panic_place("just words"), None);
        assert_eq!(panic_message(stderr).unwrap(), "panicked at src/lib.rs:7:9: index out of bounds");
    }

    #[test]
    fn each_error_is_known_by_its_type() {
        let kinds = [
            (wasmtime::Error::from(Trap::Interrupt), FailureKind::Deadline),
            (Trap::UnreachableCodeReached.into(), FailureKind::Trapped),
            (Trap::StackOverflow.into(), FailureKind::Trapped),
            (wasmtime::Error::from(MemoryExceeded { limit: 1 }).context("growing"), FailureKind::Memory),
            (Waited.into(), FailureKind::Trapped),
            (wasmtime::Error::msg("invalid utf-8"), FailureKind::Invalid),
        ];
        for (error, expected) in kinds {
            assert_eq!(kind(&error), expected, "{error:?}");
        }
    }
}
