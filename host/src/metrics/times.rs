//! How long something took, many times: a histogram of durations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in nanoseconds, from a call into a plugin to a disk that hardly answers. One scale for all: what is compared has the same
/// steps.
const BOUNDS: [u64; 22] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Two additions for each observation, as a counter and a sum would be: the number of all is the sum over the ranges.
#[derive(Debug, Default)]
pub struct Times {
    /// How many are in each range. Those beyond the last bound are in `beyond`.
    ranges: [AtomicU64; BOUNDS.len()],
    beyond: AtomicU64,
    sum_nanos: AtomicU64,
}

// === impl Times ===

impl Times {
    pub fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let range = BOUNDS.partition_point(|bound| *bound < nanos);
        self.ranges.get(range).unwrap_or(&self.beyond).fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.ranges.iter().chain([&self.beyond]).map(|range| range.load(Ordering::Relaxed)).sum()
    }

    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_nanos.load(Ordering::Relaxed))
    }

    /// The upper bound of each range in seconds, and how many are in it; then those beyond the last.
    pub fn ranges(&self) -> (Vec<(f64, u64)>, u64) {
        let count = |range: &AtomicU64| range.load(Ordering::Relaxed);
        let seconds = BOUNDS.iter().map(|nanos| Duration::from_nanos(*nanos).as_secs_f64());
        (seconds.zip(self.ranges.iter().map(count)).collect(), count(&self.beyond))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_first_range_whose_bound_it_does_not_exceed() {
        let times = Times::default();
        for nanos in [0, 1_000, 1_001, 10_000_000_000, 10_000_000_001, u64::MAX / 2] {
            times.observe(Duration::from_nanos(nanos));
        }
        let (ranges, beyond) = times.ranges();
        assert_eq!((ranges[0], ranges[1], ranges[21], beyond), ((1e-6, 2), (2.5e-6, 1), (10.0, 1), 2));
        assert_eq!(times.count(), 6);
        assert_eq!(times.sum(), Duration::from_nanos(u64::MAX / 2 + 20_000_002_002));
        assert!(BOUNDS.is_sorted());
    }
}
