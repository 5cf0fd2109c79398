//! The work of `tests/fixtures/reading` as a function of this program, with nothing between: what a plugin is compared with.

use serde::{Deserialize, Serialize};

const RANGE: std::ops::RangeInclusive<f64> = -40.0..=85.0;

/// For the plugin, the same range.
pub const CONFIG: &str = r#"{"min": -40.0, "max": 85.0}"#;

#[derive(Deserialize, Serialize)]
struct Reading {
    id: String,
    celsius: f64,
    humidity: f64,
    device: String,
    site: String,
    firmware: String,
    state: String,
    alarms: Vec<String>,
    note: String,
}

pub fn filter_and_convert(payload: &[u8]) -> Option<Vec<u8>> {
    let mut reading: Reading = serde_json::from_slice(payload).ok()?;
    if !RANGE.contains(&reading.celsius) {
        return None;
    }
    reading.celsius = reading.celsius * 1.8 + 32.0;
    serde_json::to_vec(&reading).ok()
}
