//! Metrics as those who collect them want them: families of samples, each sample with its labels, named as Prometheus names them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Counters, Reading};

/// All samples of one name.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub struct Family {
    /// `tidegate_upstream_forwarded_total`: units at the end, `_total` for what only ever grows.
    pub name: String,
    pub kind: Kind,
    pub help: String,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub struct Sample {
    /// `upstream`, `binding`, `listener` or `plugin`, and its name.
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Counter,
    Gauge,
}

/// Families in the order of their first sample.
#[derive(Debug, Default)]
pub struct Families(Vec<Family>);

// === impl Families ===

impl Families {
    pub fn of(counters: &Counters) -> Self {
        let mut families = Self::default();
        counters.read().iter().for_each(|reading| families.reading(reading, &[]));
        for one in counters.listeners.all() {
            one.metrics.read().iter().for_each(|reading| families.reading(reading, &[("listener", &one.name)]));
        }
        for one in counters.bindings.all() {
            one.metrics.read().iter().for_each(|reading| families.reading(reading, &[("binding", &one.name)]));
        }
        for one in counters.upstreams.all() {
            one.metrics.read().iter().for_each(|reading| families.reading(reading, &[("upstream", &one.name)]));
        }
        families
    }

    pub fn reading(&mut self, &Reading { name, help, kind, value }: &Reading, labels: &[(&str, &str)]) {
        self.add(name, kind, help, labels, value as f64);
    }

    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(name, Kind::Counter, help, labels, value);
    }

    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        self.add(name, Kind::Gauge, help, labels, value);
    }

    pub fn into_vec(self) -> Vec<Family> {
        self.0
    }

    fn add(&mut self, name: &str, kind: Kind, help: &str, labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        let sample = Sample { labels, value };
        match self.0.iter_mut().find(|family| family.name == name) {
            Some(family) => family.samples.push(sample),
            None => self.0.push(Family { name: name.into(), kind, help: help.into(), samples: vec![sample] }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parts_count_is_one_family_with_a_label_for_each() {
        let counters = Counters::default();
        counters.upstreams.of("cloud").forwarded.add(2);
        counters.upstreams.of("edge").forwarded.increment();
        let families = Families::of(&counters).into_vec();
        let named = |name: &str| families.iter().find(|family| family.name == name).unwrap();
        let forwarded = named("tidegate_upstream_forwarded_total");
        assert_eq!(forwarded.kind, Kind::Counter);
        assert!(forwarded.help.starts_with("Messages that it has:"), "{}", forwarded.help);
        let values: Vec<_> = forwarded.samples.iter().map(|one| (one.labels["upstream"].as_str(), one.value)).collect();
        assert_eq!(values, [("cloud", 2.0), ("edge", 1.0)]);
        assert_eq!(named("tidegate_in_flight").kind, Kind::Gauge);
    }

    #[test]
    fn names_are_those_that_a_collector_takes() {
        let counters = Counters::default();
        counters.listeners.of("lan");
        counters.bindings.of("all");
        counters.upstreams.of("cloud");
        let families = Families::of(&counters).into_vec();
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        for Family { name, kind, help, samples } in &families {
            assert!(is_name(name) && name.ends_with("_total") == (*kind == Kind::Counter), "{name}");
            assert!(!help.is_empty() && !samples.is_empty(), "{name}");
        }
        assert!(families.len() > 50);
    }
}
