//! What a link of a chain has to be, and what a plugin's instance.

use std::time::{Duration, Instant};

use crate::message::Message;
use crate::plugin::{Answer, CallResult, Envelope, Fault, Instance, Traits, Verdict};

use super::outcome::Failure;

/// One link of a chain. A plugin in service; in tests, a closure.
pub trait Stage: Send {
    /// Whose failures they are.
    fn name(&self) -> &str;

    /// Answers for messages from the front of `batch`, in order: for all of them or, when `until` passes first, for at least
    /// one. Called with at least one.
    fn process(&mut self, batch: &[Envelope], until: Instant) -> Vec<Result<Verdict, Box<Failure>>>;

    /// So many messages, which this stage could not handle for the time being, will be asked about again.
    fn try_again(&mut self, _messages: usize) {}

    /// A failure on this message, which this stage called transient, was tried again as often as the binding allows, and stays one.
    fn gave_up(&mut self, _on: &Envelope) {}

    /// It cannot be asked before so long: its instance is being started elsewhere.
    fn wait(&mut self) -> Option<Duration> {
        None
    }

    /// What time makes; none, when it exports no `timer`.
    fn tick(&mut self, now_ms: u64) -> Option<Result<Vec<Message>, Failure>> {
        let _ = now_ms;
        None
    }
}

/// What a stage needs of an instance. The outer error is the instance's end, an inner one concerns its message.
pub trait Guest: Send {
    fn is_batched(&self) -> bool;
    fn traits(&self) -> Traits;
    fn process_one(&mut self, envelope: &Envelope) -> Result<Answer, Fault>;
    /// At least one message, none with properties; one answer for each.
    fn process_batch(&mut self, batch: &[Envelope]) -> Result<Vec<Answer>, Fault>;
    /// Only asked of a plugin that exports `timer`.
    fn tick(&mut self, now_ms: u64) -> CallResult<Vec<Message>> {
        let _ = now_ms;
        Ok(Ok(Vec::new()))
    }
}

// === impl Guest ===

impl Guest for Instance {
    fn is_batched(&self) -> bool {
        self.is_batched()
    }

    fn traits(&self) -> Traits {
        self.traits()
    }

    fn process_one(&mut self, envelope: &Envelope) -> Result<Answer, Fault> {
        self.process_one(envelope)
    }

    fn process_batch(&mut self, batch: &[Envelope]) -> Result<Vec<Answer>, Fault> {
        self.process_batch(batch)
    }

    fn tick(&mut self, now_ms: u64) -> CallResult<Vec<Message>> {
        self.tick(now_ms)
    }
}
