//! What is remembered of a topic's readings: enough for the report, whatever their number.

use std::time::Duration;

use serde_json::json;
use tidegate_plugin::prelude::*;

/// Windows without a reading for which a topic keeps its place: a sensor that speaks once in a window is late now and then.
const KEPT: u8 = 2;

/// A topic's place: what was read in this window, or for how many windows nothing was. A place without readings is written at each of
/// those few ticks and then gone.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Place {
    Readings(Summary),
    Empty { empty: u8 },
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Summary {
    count: u64,
    /// Not the sum: the mean of many readings does not lose the small ones.
    mean: f64,
    min: f64,
    max: f64,
    from_ms: u64,
}

// === impl Place ===

impl Place {
    pub fn of(summary: Summary) -> Self {
        Self::Readings(summary)
    }

    /// With one more reading.
    pub fn with(self, reading: f64, arrived: Duration) -> Self {
        Self::Readings(match self {
            Self::Readings(summary) => summary.with(reading, arrived),
            Self::Empty { .. } => Summary::of(reading, arrived),
        })
    }

    pub fn summary(&self) -> Option<&Summary> {
        match self {
            Self::Readings(summary) => Some(summary),
            Self::Empty { .. } => None,
        }
    }

    /// What is left of it when a window ends; none, when it was empty for long enough.
    pub fn after_window(self) -> Option<Self> {
        let empty = match self {
            Self::Readings(_) => 0,
            Self::Empty { empty } => empty + 1,
        };
        (empty < KEPT).then_some(Self::Empty { empty })
    }
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
