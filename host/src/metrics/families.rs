//! Metrics as those who collect them want them: families of samples, each sample with its labels, named as Prometheus names them.

use serde::{Deserialize, Serialize};

use super::{Counters, Labels, Reading, Times};

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
    pub labels: Labels,
    /// Of a histogram, the sum of all that was observed.
    pub value: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranges: Option<Ranges>,
}

/// Of a histogram: the upper bound of each range and how many are in it, and not in one before; and how many there are with those that are
/// beyond the last bound.
#[derive(Debug, Serialize, Deserialize, PartialEq)]
pub struct Ranges {
    pub bounded: Vec<(f64, u64)>,
    pub count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Families in the order of their first sample.
#[derive(Debug, Default)]
pub struct Families {
    all: Vec<Family>,
    /// Where the next sample is likely to go: parts of one kind have the same numbers in the same order.
    next: usize,
}

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
        counters.spool.measure(&mut families);
        families
    }

    pub fn reading(&mut self, &Reading { name, help, kind, value }: &Reading, labels: &[(&'static str, &str)]) {
        self.add(name, kind, help, Sample::of(labels, value as f64));
    }

    pub fn counter(&mut self, name: &str, help: &str, labels: &[(&'static str, &str)], value: f64) {
        self.add(name, Kind::Counter, help, Sample::of(labels, value));
    }

    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&'static str, &str)], value: f64) {
        self.add(name, Kind::Gauge, help, Sample::of(labels, value));
    }

    pub fn histogram(&mut self, name: &str, help: &str, labels: &[(&'static str, &str)], times: &Times) {
        let (bounded, beyond) = times.ranges();
        let count = bounded.iter().map(|(_, count)| count).sum::<u64>() + beyond;
        let ranges = Some(Ranges { bounded, count });
        let sample = Sample { ranges, ..Sample::of(labels, times.sum().as_secs_f64()) };
        self.add(name, Kind::Histogram, help, sample);
    }

    pub fn into_vec(self) -> Vec<Family> {
        self.all
    }

    fn add(&mut self, name: &str, kind: Kind, help: &str, sample: Sample) {
        let (before, after) = self.all.split_at(self.next.min(self.all.len()));
        let is_it = |family: &Family| family.name == name;
        let found = after.iter().position(is_it).map(|place| before.len() + place);
        let place = found.or_else(|| before.iter().position(is_it)).unwrap_or_else(|| {
            self.all.push(Family { name: name.into(), kind, help: help.into(), samples: Vec::new() });
            self.all.len() - 1
        });
        self.next = place + 1;
        if let Some(family) = self.all.get_mut(place) {
            family.samples.push(sample);
        }
    }
}

// === impl Sample ===

impl Sample {
    fn of(labels: &[(&'static str, &str)], value: f64) -> Self {
        Self { labels: Labels::of(labels), value, ranges: None }
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
        let values: Vec<_> =
            forwarded.samples.iter().map(|one| (one.labels.get("upstream").unwrap(), one.value)).collect();
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
