//! What is seen of one upstream, and of one plugin, and how either is asked for something.

use std::sync::Arc;

use tokio::sync::watch;

use crate::base::clock;
use crate::egress::{Operator, UpstreamStatus};
use crate::metrics::{Families, OldestSnapshot, PluginSnapshot, UpstreamSnapshot};
use crate::plugin::{Metric, PluginStats};
use crate::spool::Queue;

#[derive(Clone)]
pub struct WatchedUpstream {
    pub name: String,
    pub status: watch::Receiver<UpstreamStatus>,
    pub operator: Operator,
    pub queue: Arc<Queue>,
}

#[derive(Clone)]
pub struct WatchedPlugin {
    pub name: String,
    pub stats: Arc<PluginStats>,
}

// === impl WatchedUpstream ===

impl WatchedUpstream {
    pub(super) fn snapshot(&self) -> UpstreamSnapshot {
        let status = self.status.borrow().clone();
        let oldest = self.oldest(&status);
        let UpstreamStatus { connected, url, attempts, taken_over, last_error, files_error, .. } = status;
        let name = self.name.clone();
        UpstreamSnapshot { name, connected, url, attempts, taken_over, last_error, files_error, oldest }
    }

    fn oldest(&self, status: &UpstreamStatus) -> Option<OldestSnapshot> {
        let entry = self.queue.oldest()?;
        let number = entry.position.number;
        let trouble = status.trouble.as_ref().filter(|trouble| trouble.number == number);
        Some(OldestSnapshot {
            number,
            topic: entry.message.topic.to_string(),
            age_seconds: clock::since(entry.arrived).as_secs(),
            attempts: trouble.map_or(0, |trouble| trouble.attempts),
            suspect: trouble.is_some_and(|trouble| trouble.is_suspect),
        })
    }

    pub(super) fn measure(&self, families: &mut Families) {
        let (status, labels) = (self.status.borrow().clone(), [("upstream", self.name.as_str())]);
        let waiting = self.queue.len() as f64;
        families.gauge("tidegate_upstream_waiting", "Messages in the spool for it.", &labels, waiting);
        let help = "Bytes of the messages for it that are in memory; the others are in the log.";
        families.gauge("tidegate_upstream_memory_bytes", help, &labels, self.queue.memory() as f64);
        let help = "1 while it is connected.";
        families.gauge("tidegate_upstream_connected", help, &labels, u8::from(status.connected).into());
        let help = "Attempts to connect.";
        families.counter("tidegate_upstream_connection_attempts_total", help, &labels, status.attempts as f64);
        let help = "Sessions that another client with our client id has taken over.";
        families.counter("tidegate_upstream_taken_over_total", help, &labels, status.taken_over as f64);
        let help = "1 when its files of TLS have changed and cannot be used: those from before are in use.";
        let is_refused = status.files_error.is_some();
        families.gauge("tidegate_upstream_tls_files_refused", help, &labels, u8::from(is_refused).into());
        self.measure_oldest(&status, families);
    }

    /// Whether it takes what is sent: one that is connected and stuck shows here.
    fn measure_oldest(&self, status: &UpstreamStatus, families: &mut Families) {
        let (oldest, labels) = (self.queue.oldest(), [("upstream", self.name.as_str())]);
        let help = "Age of the oldest message that it has not acknowledged, waiting or sent; 0 when there is none.";
        let age = oldest.as_ref().map_or(0.0, |entry| clock::since(entry.arrived).as_secs_f64());
        families.gauge("tidegate_upstream_oldest_unacked_seconds", help, &labels, age);
        let number = oldest.map(|entry| entry.position.number);
        let trouble = status.trouble.as_ref().filter(|trouble| Some(trouble.number) == number);
        let help = "Connections that ended with the oldest message unacknowledged, and refusals of it.";
        let attempts = trouble.map_or(0, |trouble| trouble.attempts);
        families.gauge("tidegate_upstream_oldest_attempts", help, &labels, attempts.into());
    }
}

// === impl WatchedPlugin ===

impl WatchedPlugin {
    pub(super) fn snapshot(&self) -> PluginSnapshot {
        let stats = &self.stats;
        let value = |metric| match metric {
            Metric::Counter(count) => count as f64,
            Metric::Gauge(value) => value,
        };
        PluginSnapshot {
            messages: stats.messages.get(),
            faults: stats.faults(),
            retries: stats.retries.get(),
            breakers: stats.breakers().into_iter().map(|(binding, state)| (binding, state.to_string())).collect(),
            metrics: stats.metrics.snapshot().into_iter().map(|(name, metric)| (name, value(metric))).collect(),
        }
    }

    pub(super) fn measure(&self, families: &mut Families) {
        self.stats.measure(&self.name, families);
    }
}
