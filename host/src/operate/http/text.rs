//! Metrics as text: that of Prometheus (0.0.4), or of OpenMetrics for who asks for it. Both are written by `prometheus-client`; what it has
//! to say is looked up when somebody asks, and nothing is registered with it.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::metrics::{Families, Family, Kind, Labels, Ranges, Sample};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

#[derive(Debug)]
struct Shown(Vec<Family>);

/// Labels of ours, as the encoder takes them.
struct Encoded<'a>(&'a Labels);

// === impl Format ===

impl Format {
    /// What `Accept` likes better; that of Prometheus when it has no opinion.
    pub fn asked_for(accept: &str) -> Self {
        let weight = |wanted: &str| {
            let ranges = accept.split(',').filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
                let weight =
                    parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok());
                weight.filter(|_| is_it)
            });
            ranges.fold(0.0, f32::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    pub fn encode(self, families: Families) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Shown(families.into_vec())));
        let mut out = String::new();
        match self {
            Self::Prometheus => prometheus_text::encode(&mut out, &registry)?,
            Self::OpenMetrics => text::encode(&mut out, &registry)?,
        }
        Ok(out)
    }
}

// === impl Shown ===

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|family| encode(family, &mut encoder))
    }
}

fn encode(family: &Family, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let kind = match family.kind {
        Kind::Counter => MetricType::Counter,
        Kind::Gauge => MetricType::Gauge,
        Kind::Histogram => MetricType::Histogram,
    };
    // The encoder adds it, where the format has it.
    let name = family.name.strip_suffix("_total").unwrap_or(&family.name);
    // OpenMetrics wants quotes to be escaped in a help text, and the encoder leaves that to us.
    let help = family.help.replace('"', "'");
    let mut of_family = encoder.encode_descriptor(name, &help, None, kind)?;
    family.samples.iter().try_for_each(|sample| {
        if sample.labels.is_empty() {
            return encode_sample(family.kind, sample, &mut of_family);
        }
        encode_sample(family.kind, sample, &mut of_family.encode_family(&Encoded(&sample.labels))?)
    })
}

fn encode_sample(kind: Kind, sample: &Sample, to: &mut MetricEncoder<'_>) -> fmt::Result {
    match (kind, &sample.ranges) {
        (Kind::Histogram, Some(ranges)) => {
            to.encode_histogram::<NoLabelSet>(sample.value, ranges.count, &buckets(ranges), None)
        }
        (Kind::Counter, _) => match whole(sample.value) {
            Some(count) => to.encode_counter::<NoLabelSet, u64, f64>(&count, None),
            None => to.encode_counter::<NoLabelSet, f64, f64>(&sample.value, None),
        },
        _ => match whole(sample.value) {
            Some(count) => to.encode_gauge(&count),
            None => to.encode_gauge(&sample.value),
        },
    }
}

/// Shorter to write and to read than with a fraction of zero.
fn whole(value: f64) -> Option<u64> {
    const LARGEST: f64 = (1_u64 << 53) as f64;
    ((0.0..=LARGEST).contains(&value) && value.fract() == 0.0).then_some(value as u64)
}

fn buckets(ranges: &Ranges) -> Vec<(f64, u64)> {
    let bounded: u64 = ranges.bounded.iter().map(|(_, count)| count).sum();
    let beyond = (f64::INFINITY, ranges.count.saturating_sub(bounded));
    ranges.bounded.iter().copied().chain([beyond]).collect()
}

// === impl Encoded ===

impl EncodeLabelSet for Encoded<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let labels: smallvec::SmallVec<[(&str, &str); 2]> = self.0.iter().collect();
        labels.as_slice().encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::{Counters, Times};

    fn families() -> Families {
        let (mut families, times) = (Families::default(), Times::default());
        times.observe(Duration::from_micros(3));
        times.observe(Duration::from_secs(60));
        families.counter("tidegate_a_total", "Says \"no\".", &[("plugin", "p\"\\\nq")], 2.0);
        families.gauge("tidegate_b_seconds", "Half.", &[], 0.5);
        families.histogram("tidegate_c_seconds", "Times.", &[("plugin", "p")], &times);
        families
    }

    #[test]
    fn both_formats_say_the_same_each_in_its_way() {
        let prometheus = Format::Prometheus.encode(families()).unwrap();
        assert!(prometheus.starts_with(
            "# HELP tidegate_a_total Says 'no'.\n# TYPE tidegate_a_total counter\ntidegate_a_total{plugin=\"p\\\"\\\\\\nq\"} 2\n"
        ));
        assert!(prometheus.contains("\ntidegate_b_seconds 0.5\n"), "{prometheus}");
        for line in [
            "tidegate_c_seconds_bucket{plugin=\"p\",le=\"5e-6\"} 1",
            "tidegate_c_seconds_bucket{plugin=\"p\",le=\"10.0\"} 1",
            "tidegate_c_seconds_bucket{plugin=\"p\",le=\"+Inf\"} 2",
            "tidegate_c_seconds_count{plugin=\"p\"} 2",
            "tidegate_c_seconds_sum{plugin=\"p\"} 60.000003",
        ] {
            let is_there = |line: &str| {
                let (labels, value) = line.split_once('}').unwrap();
                prometheus.lines().any(|said| {
                    said.starts_with(labels.split_once(',').map_or(labels, |it| it.0)) && said.ends_with(value)
                })
            };
            assert!(is_there(line), "{line} in {prometheus}");
        }
        let open = Format::OpenMetrics.encode(families()).unwrap();
        assert!(
            open.starts_with("# HELP tidegate_a Says 'no'.\n# TYPE tidegate_a counter\ntidegate_a_total{"),
            "{open}"
        );
        assert!(open.ends_with("# EOF\n") && !prometheus.contains("EOF"));
    }

    #[test]
    fn who_likes_open_metrics_as_much_gets_it() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for (accept, open) in [
            (prometheus_3, true),
            ("application/openmetrics-text", true),
            ("application/openmetrics-text; q=0.5, text/plain", false),
            ("application/openmetrics-text;q=0", false),
            ("text/html,*/*;q=0.8", false),
            ("", false),
            (";;q=,,", false),
        ] {
            assert_eq!(Format::asked_for(accept) == Format::OpenMetrics, open, "{accept}");
        }
    }

    /// How long a scrape of so many bindings takes: the best of some, for others use this machine, too.
    fn scrape(bindings: usize) -> Duration {
        let counters = Counters::default();
        (0..bindings).for_each(|number| drop(counters.bindings.of(&format!("binding-{number}"))));
        let once = || {
            let started = std::time::Instant::now();
            let text = Format::Prometheus.encode(Families::of(&counters)).unwrap();
            assert!(text.lines().count() > bindings * 17);
            started.elapsed()
        };
        (0..5).map(|_| once()).min().unwrap()
    }

    #[test]
    fn ten_times_as_many_bindings_are_about_ten_times_the_work() {
        let (few, many) = (scrape(200), scrape(2_000));
        assert!(many < few * 40, "{few:?} for 200, {many:?} for 2,000: a hundred times would be the square");
    }
}
