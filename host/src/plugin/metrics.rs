//! What a plugin counts itself, over all bindings that use it, since the gateway's start.
//!
//! Names come from a guest, so there is a fixed form and a fixed number of them; what does not fit is not counted, and said once.
//! A call that fails has counted all the same: how often a plugin refuses something is what somebody wants to know.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::limits::{MAX_METRIC_NAME_BYTES, MAX_METRICS};
use super::text::printable;

#[derive(Debug, Default)]
pub struct PluginMetrics {
    /// Of all instances: an update is a look-up among a few names.
    values: Mutex<BTreeMap<Box<str>, Metric>>,
    complained: AtomicBool,
}

/// What a name is it stays: the first use decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Metric {
    /// Only ever grows.
    Counter(u64),
    /// The last that any binding's instance has said.
    Gauge(f64),
}

// === impl PluginMetrics ===

impl PluginMetrics {
    pub fn count(&self, name: &str, add: u64) {
        self.update(name, Metric::Counter(0), |metric| match metric {
            Metric::Counter(count) => {
                *count = count.saturating_add(add);
                true
            }
            Metric::Gauge(_) => false,
        });
    }

    pub fn gauge(&self, name: &str, value: f64) {
        self.update(name, Metric::Gauge(value), |metric| match metric {
            Metric::Gauge(gauge) => {
                *gauge = value;
                true
            }
            Metric::Counter(_) => false,
        });
    }

    /// In the order of the names.
    pub fn snapshot(&self) -> Vec<(String, Metric)> {
        self.values().iter().map(|(name, metric)| (name.to_string(), *metric)).collect()
    }

    fn update(&self, name: &str, new: Metric, update: impl FnOnce(&mut Metric) -> bool) {
        let mut values = self.values();
        let is_room = values.len() < MAX_METRICS && is_name(name);
        let fits = match values.get_mut(name) {
            Some(metric) => update(metric),
            None if is_room => update(values.entry(name.into()).or_insert(new)),
            None => false,
        };
        if !fits && !self.complained.swap(true, Ordering::Relaxed) {
            let name = printable(name, MAX_METRIC_NAME_BYTES);
            tracing::warn!(
                "a plugin's metric `{name}` is not kept: names are `[a-z][a-z0-9_]*`, at most {MAX_METRIC_NAME_BYTES} \
                 bytes and {MAX_METRICS} of them, each a counter or a gauge and not both"
            );
        }
    }

    fn values(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Metric>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fit for every system that collects metrics, without quoting.
fn is_name(name: &str) -> bool {
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    let rest = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    begins && rest && name.len() <= MAX_METRIC_NAME_BYTES
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Counter(count) => count.fmt(f),
            Self::Gauge(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_and_gauges_are_the_last_said() {
        let metrics = PluginMetrics::default();
        metrics.count("seen", 2);
        metrics.count("seen", 3);
        metrics.gauge("level", 2.5);
        metrics.gauge("level", -1.0);
        let expected = [("level".to_owned(), Metric::Gauge(-1.0)), ("seen".to_owned(), Metric::Counter(5))];
        assert_eq!(metrics.snapshot(), expected);
    }

    #[test]
    fn what_a_name_is_it_stays() {
        let metrics = PluginMetrics::default();
        metrics.count("n", u64::MAX);
        metrics.count("n", 1);
        metrics.gauge("n", 0.0);
        assert_eq!(metrics.snapshot(), [("n".to_owned(), Metric::Counter(u64::MAX))]);
    }

    #[test]
    fn names_of_another_form_and_too_many_are_not_kept() {
        let metrics = PluginMetrics::default();
        for bad in ["", "Seen", "1st", "a b", "a\n", "é", &"x".repeat(MAX_METRIC_NAME_BYTES + 1)] {
            metrics.count(bad, 1);
        }
        assert_eq!(metrics.snapshot(), []);
        (0..2 * MAX_METRICS).for_each(|number| metrics.count(&format!("n{number}"), 1));
        assert_eq!(metrics.snapshot().len(), MAX_METRICS);
        metrics.count("n0", 1);
        assert!(metrics.snapshot().contains(&("n0".to_owned(), Metric::Counter(2))));
    }
}
