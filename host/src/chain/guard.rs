//! The breaker of one plugin in one binding, and who is told of it: the log at each change, the plugin's statistics always.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock;
use crate::config::BreakerLimits;
use crate::plugin::{BreakerGauge, BreakerState, FailureKind, Fault, PluginStats};

use super::breaker::{Admission, Breaker, Source};

pub struct Guard {
    plugin: String,
    binding: String,
    breaker: Breaker,
    limits: BreakerLimits,
    gauge: Arc<BreakerGauge>,
    /// What the gauge says: compared for each message, so without its lock.
    told: BreakerState,
    /// The fault that counted last.
    reason: String,
}

// === impl Guard ===

impl Guard {
    pub fn new(plugin: &str, binding: &str, limits: BreakerLimits, stats: &PluginStats) -> Self {
        let (plugin, gauge) = (plugin.to_owned(), stats.breaker_of(binding));
        let told = gauge.state();
        Self {
            plugin,
            binding: binding.to_owned(),
            breaker: Breaker::new(limits),
            limits,
            gauge,
            told,
            reason: String::new(),
        }
    }

    pub fn admit(&mut self) -> Admission {
        let admission = self.breaker.admit(clock::now());
        self.tell();
        admission
    }

    /// On a message of this device; of none, where the plugin failed by itself.
    pub fn fault(&mut self, fault: impl std::fmt::Display, by: Source) {
        self.reason = fault.to_string();
        self.breaker.fault(by, clock::now());
        self.tell();
    }

    /// Nobody is admitted now.
    pub fn is_open(&self) -> bool {
        self.breaker.is_open(clock::now())
    }

    /// Time in which the plugin could not show what it is.
    pub fn time_passed(&mut self, without_instance: Duration) {
        self.breaker.stand_still(without_instance);
    }

    pub fn success(&mut self) {
        self.breaker.success();
        self.tell();
    }

    /// What a message is told that is not admitted.
    pub fn not_admitted(&self) -> Fault {
        let detail = format!("for up to {:?}; the last fault: {}", self.limits.open_for, self.reason);
        Fault::new(FailureKind::BreakerOpen, &detail)
    }

    fn tell(&mut self) {
        let state = self.breaker.state();
        if state == self.told {
            return;
        }
        self.told = state;
        self.gauge.set(state);
        let Self { plugin, binding, limits, reason, .. } = self;
        match state {
            BreakerState::Open => {
                tracing::error!(
                    plugin,
                    binding,
                    "circuit breaker opened for {:?} after too many faults, the last: {reason}",
                    limits.open_for
                );
            }
            BreakerState::HalfOpen => {
                tracing::info!(plugin, binding, "circuit breaker half-open: tried with one message")
            }
            BreakerState::Closed => tracing::info!(plugin, binding, "circuit breaker closed: the plugin works again"),
        }
    }
}
