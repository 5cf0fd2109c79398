//! What Prometheus sees of a gateway, and the equation of the message accounting made from it alone (promise P5).

use std::collections::{BTreeMap, BTreeSet};

/// Samples by name and labels, as they are written.
#[derive(Clone, Debug)]
pub struct Scrape(BTreeMap<String, f64>);

/// What came in.
const CAME_IN: [&str; 9] = [
    "tidegate_listener_received_total",
    "tidegate_upstream_received_total",
    "tidegate_internal_total",
    "tidegate_requeued_total",
    "tidegate_binding_tick_outputs_total",
    "tidegate_upstream_recovered_total",
    "tidegate_corrupt_total",
    "tidegate_dead_letters_lost_total",
    "tidegate_binding_fan_out_total",
];

/// Where it is, or how it has ended.
const ACCOUNTED: [&str; 19] = [
    "tidegate_upstream_forwarded_total",
    "tidegate_spool_messages",
    "tidegate_in_flight",
    "tidegate_unmatched_total",
    "tidegate_binding_local_outputs_total",
    "tidegate_binding_filtered_total",
    "tidegate_binding_dead_lettered_total",
    "tidegate_binding_failed_dropped_total",
    "tidegate_listener_acl_denied_total",
    "tidegate_expired_total",
    "tidegate_upstream_expired_total",
    "tidegate_upstream_refused_total",
    "tidegate_upstream_undelivered_total",
    "tidegate_upstream_skipped_total",
    "tidegate_dropped_full_total",
    "tidegate_upstream_dropped_full_total",
    "tidegate_upstream_oversize_total",
    "tidegate_unfinished_total",
    "tidegate_messages_lost_total",
];

// === impl Scrape ===

impl Scrape {
    /// Of the text format of Prometheus or of OpenMetrics.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
        };
        let all: Vec<(String, f64)> = samples.map(sample).collect();
        let count = all.len();
        let all: BTreeMap<_, _> = all.into_iter().collect();
        assert_eq!(all.len(), count, "a sample is there twice: {text}");
        Self(all)
    }

    /// Name and labels of each.
    pub fn series(&self) -> BTreeSet<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    pub fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// Over all labels. A name that is not there is a mistake of the test.
    pub fn sum(&self, name: &str) -> f64 {
        let is_it = |series: &&String| series.split('{').next() == Some(name);
        assert!(self.0.keys().any(|series| is_it(&series)), "no metric `{name}`");
        self.0.iter().filter(|(series, _)| is_it(series)).map(|(_, value)| value).sum()
    }

    /// What came in and is under no name. 0 when nothing moves.
    pub fn missing(&self) -> f64 {
        let sum = |names: &[&str]| names.iter().map(|name| self.sum(name)).sum::<f64>();
        sum(&CAME_IN) - sum(&ACCOUNTED)
    }
}
