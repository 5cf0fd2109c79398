//! What rounds end with, and the middle of several.

use std::time::Duration;

use crate::upstream::Arrival;

#[derive(Clone, Copy, Debug)]
pub struct Throughput {
    /// Messages a second, from the first sent to the last that arrived.
    pub rate: f64,
    /// CPU seconds of the system for a million messages.
    pub cpu_per_million: f64,
    pub peak_mib: f64,
    pub faults: Faults,
}

/// What should be zero: a figure of a system that loses is no figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    pub missing: u64,
    /// Twice, or after a later one.
    pub out_of_place: u64,
}

/// Of the time from when a message was due to be sent to its arrival.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
    pub missing: u64,
}

// === impl Faults ===

impl Faults {
    /// `sent` of each publisher.
    pub fn of(arrivals: &[Arrival], sent: &[u64]) -> Self {
        let mut next = vec![0; sent.len()];
        let mut faults =
            Self { missing: sent.iter().sum::<u64>().saturating_sub(arrivals.len() as u64), out_of_place: 0 };
        for arrival in arrivals {
            let Some(next) = next.get_mut(arrival.publisher) else { continue };
            faults.out_of_place += u64::from(arrival.number != *next);
            *next = arrival.number + 1;
        }
        faults
    }
}

// === impl Latency ===

impl Latency {
    pub fn of(mut delays: Vec<Duration>, missing: u64) -> Self {
        delays.sort_unstable();
        let at = |part: f64| delays.get((delays.len() as f64 * part) as usize).copied().unwrap_or_default();
        Self { p50: at(0.5), p99: at(0.99), max: delays.last().copied().unwrap_or_default(), missing }
    }
}

/// The middle of what rounds gave: one that was disturbed does not count.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
