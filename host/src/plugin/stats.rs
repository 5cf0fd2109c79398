//! Counts of one plugin, over all bindings that use it: written by the worker threads, read by anybody.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::faults::FailureKind;
use super::metrics::PluginMetrics;
use crate::metrics::Counter;

#[derive(Debug, Default)]
pub struct PluginStats {
    /// Crossings into the guest: a batch is one.
    pub calls: Counter,
    pub messages: Counter,
    /// Time inside calls.
    pub busy_nanos: Counter,
    /// Instances started after a fault.
    pub restarts: Counter,
    pub refused: Counter,
    pub trapped: Counter,
    pub deadline: Counter,
    pub memory: Counter,
    pub invalid: Counter,
    pub unavailable: Counter,
    /// What the plugin counts itself.
    pub metrics: Arc<PluginMetrics>,
    /// Messages that were not handed in, because the circuit breaker is open.
    pub breaker_open: Counter,
    /// Messages that were handed in once more, after the plugin said "not now".
    pub retries: Counter,
    breakers: Mutex<Vec<Arc<BreakerGauge>>>,
}

/// The circuit breaker of a plugin in one binding, as it is shown.
#[derive(Debug)]
pub struct BreakerGauge {
    binding: String,
    state: Mutex<BreakerState>,
}

/// Of a circuit breaker, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    Open,
    HalfOpen,
}

// === impl PluginStats ===

impl PluginStats {
    pub fn call(&self, busy: Duration) {
        self.calls.increment();
        self.busy_nanos.add(u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX));
    }

    /// One message failed.
    pub fn fault(&self, kind: FailureKind) {
        let counter = match kind {
            FailureKind::Refused { .. } => &self.refused,
            FailureKind::Trapped => &self.trapped,
            FailureKind::Deadline => &self.deadline,
            FailureKind::Memory => &self.memory,
            FailureKind::Invalid => &self.invalid,
            FailureKind::Unavailable => &self.unavailable,
            FailureKind::BreakerOpen => &self.breaker_open,
            // No plugin's fault.
            FailureKind::NoTopic | FailureKind::Looped | FailureKind::TooLarge => return,
        };
        counter.increment();
    }

    /// How often this plugin could not handle a message, for whatever reason.
    pub fn faults(&self) -> u64 {
        let asked = [&self.refused, &self.trapped, &self.deadline, &self.memory, &self.invalid];
        let not_asked = [&self.unavailable, &self.breaker_open];
        asked.into_iter().chain(not_asked).map(Counter::get).sum()
    }

    /// A gauge for the breaker in this binding, instead of the one that there was.
    pub fn breaker_of(&self, binding: &str) -> Arc<BreakerGauge> {
        let gauge = Arc::new(BreakerGauge { binding: binding.to_owned(), state: Mutex::new(BreakerState::Closed) });
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.retain(|gauge| gauge.binding != binding);
        breakers.push(Arc::clone(&gauge));
        gauge
    }

    /// Binding and state of each.
    pub fn breakers(&self) -> Vec<(String, BreakerState)> {
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.iter().map(|gauge| (gauge.binding.clone(), gauge.state())).collect()
    }
}

/// For the log: what is worth knowing of a plugin when all is over.
impl std::fmt::Display for PluginStats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers = [
            ("messages", &self.messages),
            ("refused", &self.refused),
            ("trapped", &self.trapped),
            ("deadline", &self.deadline),
            ("memory", &self.memory),
            ("invalid", &self.invalid),
            ("unavailable", &self.unavailable),
            ("breaker_open", &self.breaker_open),
            ("retries", &self.retries),
            ("restarts", &self.restarts),
        ];
        let numbers = numbers.map(|(name, counter)| format!("{name}={}", counter.get())).join(" ");
        let breakers = self.breakers();
        let breakers = breakers.iter().map(|(binding, state)| format!(" {binding}={state}")).collect::<String>();
        write!(f, "{numbers}; breakers{breakers}")
    }
}

// === impl BreakerGauge ===

impl BreakerGauge {
    pub fn set(&self, state: BreakerState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    pub fn state(&self) -> BreakerState {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl BreakerState ===

impl std::fmt::Display for BreakerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        })
    }
}
