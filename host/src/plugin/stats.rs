//! Counts of one plugin, over all bindings that use it: written by the worker threads, read by anybody.

use std::sync::Arc;
use std::time::Duration;

use super::metrics::PluginMetrics;
use crate::chain::FailureKind;
use crate::control::counters::Counter;

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
        };
        counter.increment();
    }

    /// Messages that this plugin could not handle, for whatever reason.
    pub fn faults(&self) -> u64 {
        let all = [&self.refused, &self.trapped, &self.deadline, &self.memory, &self.invalid, &self.unavailable];
        all.into_iter().map(Counter::get).sum()
    }
}
