//! `log`: one line in the gateway's log, under the plugin's name.
//!
//! What a plugin says is untrusted text at an untrusted rate: it is escaped, cut, and metered by a token bucket. What does
//! not pass the bucket is counted, and the next line that passes says how many there were.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::plugin::contract::log::{self, Level};
use crate::plugin::limits::LOG_BURST_SECONDS;
use crate::plugin::text::printable;

/// The log of one plugin, shared by all of its instances: one that is restarted does not begin again with a full bucket, and one that is
/// in many bindings says no more than one that is in a single one.
#[derive(Clone)]
pub struct PluginLog(Arc<Shared>);

struct Shared {
    plugin: Arc<str>,
    max_bytes: usize,
    /// Held for a look only, never for a line.
    meter: Mutex<Meter>,
}

struct Meter {
    bucket: Bucket,
    suppressed: u64,
}

/// Tokens come back with time, up to a burst.
struct Bucket {
    tokens: u32,
    per_second: u32,
    refilled: Instant,
}

// === impl PluginLog ===

impl PluginLog {
    pub fn new(plugin: Arc<str>, per_second: u32, max_bytes: usize) -> Self {
        let meter = Mutex::new(Meter { bucket: Bucket::full(per_second, Instant::now()), suppressed: 0 });
        Self(Arc::new(Shared { plugin, max_bytes, meter }))
    }

    fn line(&self, level: Level, text: &str, now: Instant) {
        if !enabled(level) {
            return;
        }
        let Some(suppressed) = self.0.permit(now) else { return };
        let plugin = &*self.0.plugin;
        if suppressed > 0 {
            tracing::warn!(plugin, "{suppressed} lines of this plugin were suppressed: it logs too often");
        }
        let text = printable(text, self.0.max_bytes);
        match level {
            Level::Debug => tracing::debug!(plugin, "{text}"),
            Level::Info => tracing::info!(plugin, "{text}"),
            Level::Warn => tracing::warn!(plugin, "{text}"),
            Level::Error => tracing::error!(plugin, "{text}"),
        }
    }
}

// === impl Shared ===

impl Shared {
    /// `Some(lines suppressed since the last one)` when a line may be written now.
    fn permit(&self, now: Instant) -> Option<u64> {
        let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        if meter.bucket.take(now) {
            return Some(std::mem::take(&mut meter.suppressed));
        }
        meter.suppressed += 1;
        None
    }
}

impl log::Host for PluginLog {
    fn write(&mut self, level: Level, text: String) -> wasmtime::Result<()> {
        self.line(level, &text, Instant::now());
        Ok(())
    }
}

/// Asked before the bucket is: a debug line that nobody reads must not use up a warning's token.
fn enabled(level: Level) -> bool {
    match level {
        Level::Debug => tracing::enabled!(tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(tracing::Level::INFO),
        Level::Warn => tracing::enabled!(tracing::Level::WARN),
        Level::Error => tracing::enabled!(tracing::Level::ERROR),
    }
}

// === impl Bucket ===

impl Bucket {
    fn full(per_second: u32, now: Instant) -> Self {
        let per_second = per_second.max(1);
        Self { tokens: burst(per_second), per_second, refilled: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let (interval, burst) = (Duration::from_secs(1) / self.per_second, burst(self.per_second));
        let due = now.saturating_duration_since(self.refilled).as_nanos() / interval.as_nanos();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        if due > 0 {
            self.tokens = self.tokens.saturating_add(due).min(burst);
            // The fraction of an interval that has passed is not lost, unless the bucket was full anyway.
            self.refilled = if self.tokens == burst { now } else { self.refilled + interval * due };
        }
        let granted = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        granted
    }
}

fn burst(per_second: u32) -> u32 {
    per_second.saturating_mul(LOG_BURST_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_instances_of_a_plugin_share_one_bucket() {
        let log = PluginLog::new("p".into(), 10, 100);
        let instances = [log.clone(), log.clone()];
        let now = Instant::now();
        let permitted = (0..200).filter_map(|n| instances[n % 2].0.permit(now)).count();
        assert_eq!(permitted, 50, "five seconds' worth, whoever speaks");
        assert_eq!(instances[0].0.permit(now + Duration::from_secs(1)), Some(150));
    }

    #[test]
    fn a_burst_passes_and_then_so_many_lines_per_second() {
        let start = Instant::now();
        let mut bucket = Bucket::full(10, start);
        let passed = |bucket: &mut Bucket, now| (0..1_000).filter(|_| bucket.take(now)).count();
        assert_eq!(passed(&mut bucket, start), 50);
        assert_eq!(passed(&mut bucket, start + Duration::from_secs(1)), 10);
        assert_eq!(passed(&mut bucket, start + Duration::from_millis(1_050)), 0);
        assert_eq!(passed(&mut bucket, start + Duration::from_millis(1_100)), 1);
        assert_eq!(passed(&mut bucket, start + Duration::from_secs(1_000)), 50);
    }
}
