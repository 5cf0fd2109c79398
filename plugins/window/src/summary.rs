//! What is remembered of a topic's readings: enough for the report, whatever their number.

use std::time::Duration;

use serde_json::json;
use tidegate_plugin::prelude::*;

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Summary {
    count: u64,
    /// Not the sum: the mean of many readings does not lose the small ones.
    mean: f64,
    min: f64,
    max: f64,
    from_ms: u64,
}

// === impl Summary ===

impl Summary {
    pub fn of(reading: f64, arrived: Duration) -> Self {
        Self { count: 1, mean: reading, min: reading, max: reading, from_ms: millis(arrived) }
    }

    /// With one more reading.
    pub fn with(self, reading: f64, arrived: Duration) -> Self {
        let count = self.count + 1;
        Self {
            count,
            mean: self.mean + (reading - self.mean) / count as f64,
            min: self.min.min(reading),
            max: self.max.max(reading),
            from_ms: self.from_ms.min(millis(arrived)),
        }
    }

    /// As JSON, until `now`.
    pub fn report(&self, now: Duration) -> Result<Vec<u8>> {
        let Self { count, mean, min, max, from_ms } = *self;
        let to_ms = millis(now);
        let report =
            json!({ "count": count, "mean": mean, "min": min, "max": max, "from_ms": from_ms, "to_ms": to_ms });
        Ok(serde_json::to_vec(&report)?)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
