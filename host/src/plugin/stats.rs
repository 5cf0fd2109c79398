//! Counts of one plugin, over all bindings that use it: written by the worker threads, read by anybody.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::faults::FailureKind;
use super::metrics::{Metric, PluginMetrics};
use crate::metrics::{Counter, Families, Times};

#[derive(Debug, Default)]
pub struct PluginStats {
    /// Crossings into the guest, a batch is one, and the time inside.
    pub calls: Times,
    pub messages: Counter,
    /// Instances started after a fault.
    pub restarts: Counter,
    pub refused: Counter,
    pub trapped: Counter,
    pub deadline: Counter,
    pub memory: Counter,
    pub invalid: Counter,
    pub unavailable: Counter,
    /// Batches that broke the instance or whose answer was none: their messages were handed in once more, one by one.
    pub batch_faults: Counter,
    /// What the plugin counts itself.
    pub metrics: Arc<PluginMetrics>,
    /// Messages that were not handed in, because the circuit breaker is open.
    pub breaker_open: Counter,
    /// Messages that were handed in once more, after the plugin said "not now".
    pub retries: Counter,
    /// Of chains that are there.
    breakers: Mutex<Vec<Weak<BreakerGauge>>>,
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
        self.calls.observe(busy);
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
            FailureKind::NoTopic | FailureKind::Looped | FailureKind::TooLarge | FailureKind::TooMany => return,
        };
        counter.increment();
    }

    /// How often this plugin could not handle a message, for whatever reason.
    pub fn faults(&self) -> u64 {
        self.failures().iter().map(|(_, counter)| counter.get()).sum()
    }

    /// By their reason.
    fn failures(&self) -> [(&'static str, &Counter); 7] {
        [
            ("refused", &self.refused),
            ("trapped", &self.trapped),
            ("deadline", &self.deadline),
            ("memory", &self.memory),
            ("invalid", &self.invalid),
            ("unavailable", &self.unavailable),
            ("breaker_open", &self.breaker_open),
        ]
    }

    /// As samples of the plugin with this name.
    pub fn measure(&self, plugin: &str, to: &mut Families) {
        let labels = [("plugin", plugin)];
        let mut count = |name, help, counter: &Counter| to.counter(name, help, &labels, counter.get() as f64);
        count("tidegate_plugin_messages_total", "Messages handed in.", &self.messages);
        count(
            "tidegate_plugin_retries_total",
            "Messages handed in once more, after it said that it cannot take them now.",
            &self.retries,
        );
        count(
            "tidegate_plugin_batch_faults_total",
            "Batches that it could not handle: their messages were handed in once more, one by one.",
            &self.batch_faults,
        );
        count("tidegate_plugin_restarts_total", "Instances started after a fault.", &self.restarts);
        to.counter(
            "tidegate_plugin_calls_total",
            "Calls into it: a batch of messages is one.",
            &labels,
            self.calls.count() as f64,
        );
        let seconds = self.calls.sum().as_secs_f64();
        to.counter("tidegate_plugin_busy_seconds_total", "Time inside calls.", &labels, seconds);
        to.histogram(
            "tidegate_plugin_call_seconds",
            "Time inside one call: a batch of messages is one.",
            &labels,
            &self.calls,
        );
        for (reason, counter) in self.failures() {
            let (labels, help) = ([("plugin", plugin), ("reason", reason)], "Messages that it could not handle.");
            to.counter("tidegate_plugin_failures_total", help, &labels, counter.get() as f64);
        }
        for (binding, state) in self.breakers() {
            let labels = [("plugin", plugin), ("binding", &binding)];
            let (help, is_open) =
                ("1 while its circuit breaker in a binding is not closed.", state != BreakerState::Closed);
            to.gauge("tidegate_plugin_breaker_open", help, &labels, u8::from(is_open).into());
        }
        for (name, metric) in self.metrics.snapshot() {
            let labels = [("plugin", plugin), ("metric", &name)];
            match metric {
                Metric::Counter(count) => {
                    to.counter("tidegate_plugin_own_total", "What it counts itself.", &labels, count as f64);
                }
                Metric::Gauge(value) => to.gauge("tidegate_plugin_own", "What it measures itself.", &labels, value),
            }
        }
    }

    /// A gauge for the breaker in this binding. It is shown when there is no older one: a chain may be made and not be used.
    pub fn breaker_of(&self, binding: &str) -> Arc<BreakerGauge> {
        let gauge = Arc::new(BreakerGauge { binding: binding.to_owned(), state: Mutex::new(BreakerState::Closed) });
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.retain(|gauge| gauge.strong_count() > 0);
        breakers.push(Arc::downgrade(&gauge));
        gauge
    }

    /// Binding and state of each.
    pub fn breakers(&self) -> Vec<(String, BreakerState)> {
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shown: Vec<(String, BreakerState)> = Vec::new();
        for gauge in breakers.iter().filter_map(Weak::upgrade) {
            if shown.iter().all(|(binding, _)| *binding != gauge.binding) {
                shown.push((gauge.binding.clone(), gauge.state()));
            }
        }
        shown
    }
}

/// For the log: what is worth knowing of a plugin when all is over.
impl std::fmt::Display for PluginStats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (messages, retries, restarts) = (self.messages.get(), self.retries.get(), self.restarts.get());
        let batch_faults = self.batch_faults.get();
        let failures = self.failures().map(|(name, counter)| format!("{name}={}", counter.get())).join(" ");
        let breakers = self.breakers();
        let breakers = breakers.iter().map(|(binding, state)| format!(" {binding}={state}")).collect::<String>();
        write!(
            f,
            "messages={messages} {failures} retries={retries} restarts={restarts} batch_faults={batch_faults}; breakers{breakers}"
        )
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
