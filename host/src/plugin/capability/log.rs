//! `log`: one line in the gateway's log, under the plugin's name.
//!
//! What a plugin says is untrusted text at an untrusted rate: it is escaped, cut, and metered by a token bucket. What does
//! not pass the bucket is counted, and the next line that passes says how many there were.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::plugin::contract::log::{self, Level};
use crate::plugin::limits::LOG_BURST_SECONDS;
use crate::plugin::text::printable;

/// The log of one instance. A plugin that is restarted gets a full bucket again; restarts are themselves limited by faults.
pub struct PluginLog {
    plugin: Arc<str>,
    bucket: Bucket,
    suppressed: u64,
    max_bytes: usize,
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
        Self { plugin, bucket: Bucket::full(per_second, Instant::now()), suppressed: 0, max_bytes }
    }

    fn line(&mut self, level: Level, text: &str, now: Instant) {
        if !enabled(level) {
            return;
        }
        if !self.bucket.take(now) {
            self.suppressed += 1;
            return;
        }
        let plugin = &*self.plugin;
        if self.suppressed > 0 {
            tracing::warn!(plugin, "{} lines of this plugin were suppressed: it logs too often", self.suppressed);
            self.suppressed = 0;
        }
        let text = printable(text, self.max_bytes);
        match level {
            Level::Debug => tracing::debug!(plugin, "{text}"),
            Level::Info => tracing::info!(plugin, "{text}"),
            Level::Warn => tracing::warn!(plugin, "{text}"),
            Level::Error => tracing::error!(plugin, "{text}"),
        }
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
