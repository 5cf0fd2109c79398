//! The instances of a plugin, one after the other: what a call meets, and how the next one comes when it breaks.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock;
use crate::plugin::{FailureKind, Fault, PluginStats, StartError, Traits};

use super::backoff::Backoff;
use super::restart::{Elsewhere, Restart};
use super::stage::Guest;

pub struct Instances<G> {
    name: String,
    restart: Restart<G>,
    present: Option<G>,
    backoff: Backoff,
    /// Why the last attempt to start failed.
    reason: String,
    stats: Arc<PluginStats>,
}

/// How it stands with an instance that is started elsewhere.
pub enum Awaited {
    /// None is awaited: it is there, or is tried when a call needs it.
    Nothing,
    For(Duration),
    /// It came, or failed to start, after so much processor time, and so long without an instance.
    Came {
        failed: Option<Fault>,
        took: Duration,
        after: Duration,
    },
}

// === impl Instances ===

impl<G: Guest + 'static> Instances<G> {
    /// With the first one, and what it says of itself.
    pub fn start(name: &str, mut restart: Restart<G>, stats: &Arc<PluginStats>) -> Result<(Self, Traits), StartError> {
        let first = restart.here()?;
        let traits = first.traits();
        let (name, reason, stats) = (name.to_owned(), String::new(), Arc::clone(stats));
        Ok((Self { name, restart, present: Some(first), backoff: Backoff::default(), reason, stats }, traits))
    }

    pub fn present(&self) -> Option<&G> {
        self.present.as_ref()
    }

    /// A fault of the instance is its end.
    pub fn call<R>(&mut self, call: impl FnOnce(&mut G) -> Result<R, Fault>) -> Result<R, Fault> {
        let guest = self.revive()?;
        let started = clock::now();
        let result = call(guest);
        self.stats.call(clock::since(started));
        if result.is_err() {
            self.present = None;
        }
        result
    }

    /// The instance, or a fresh one.
    fn revive(&mut self) -> Result<&mut G, Fault> {
        if self.present.is_none() {
            self.present = Some(self.restart()?);
        }
        self.present.as_mut().ok_or_else(|| Fault::new(FailureKind::Unavailable, &self.reason))
    }

    fn restart(&mut self) -> Result<G, Fault> {
        if !self.backoff.allows(clock::now()) {
            return Err(Fault::new(FailureKind::Unavailable, &self.reason));
        }
        // What takes long is started elsewhere, before a call needs it.
        if self.restart.is_slow() {
            return Err(Fault::new(FailureKind::Unavailable, "it is being restarted"));
        }
        let answer = self.restart.here();
        self.restarted(answer)
    }

    fn restarted(&mut self, answer: Result<G, StartError>) -> Result<G, Fault> {
        match answer {
            Ok(guest) => {
                self.stats.restarts.increment();
                self.backoff.succeeded();
                Ok(guest)
            }
            Err(error) => {
                self.reason = error.to_string();
                let delay = self.backoff.failed(clock::now());
                tracing::error!(plugin = self.name, "cannot be restarted, next attempt in {delay:?}: {error}");
                Err(Fault::new(FailureKind::Unavailable, &self.reason))
            }
        }
    }

    /// Looks for one that is started elsewhere, and has it started when it has to be. After a start that failed not for a while.
    pub fn awaited(&mut self) -> Awaited {
        if self.present.is_some() || !self.backoff.allows(clock::now()) {
            return Awaited::Nothing;
        }
        match self.restart.elsewhere() {
            Elsewhere::No => Awaited::Nothing,
            Elsewhere::Wait(wait) => Awaited::For(wait),
            Elsewhere::Answer { answer, took, after } => {
                let (failed, present) = match self.restarted(answer) {
                    Ok(guest) => (None, Some(guest)),
                    Err(fault) => (Some(fault), None),
                };
                self.present = present;
                Awaited::Came { failed, took, after }
            }
        }
    }
}
