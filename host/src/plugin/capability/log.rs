//! `log`: one line in the gateway's log, under the plugin's name.
//!
//! What a plugin says is untrusted text at an untrusted rate: it is escaped, cut, and metered by a token bucket. What does
//! not pass the bucket is counted, and the next line that passes says how many there were.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::base::token_bucket::TokenBucket;
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
    bucket: Mutex<TokenBucket>,
}

// === impl PluginLog ===

impl PluginLog {
    pub fn new(plugin: Arc<str>, per_second: u32, max_bytes: usize) -> Self {
        Self(Arc::new(Shared { plugin, max_bytes, bucket: Mutex::new(bucket(per_second, Instant::now())) }))
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
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner).permit(now)
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

fn bucket(per_second: u32, now: Instant) -> TokenBucket {
    let per_second = per_second.max(1);
    TokenBucket::full(per_second.saturating_mul(LOG_BURST_SECONDS), Duration::from_secs(1) / per_second, now)
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
        let mut bucket = bucket(10, start);
        let passed = |bucket: &mut TokenBucket, now| (0..1_000).filter(|_| bucket.permit(now).is_some()).count();
        assert_eq!(passed(&mut bucket, start), 50);
        assert_eq!(passed(&mut bucket, start + Duration::from_secs(1)), 10);
        assert_eq!(passed(&mut bucket, start + Duration::from_millis(1_050)), 0);
        assert_eq!(passed(&mut bucket, start + Duration::from_millis(1_100)), 1);
        assert_eq!(passed(&mut bucket, start + Duration::from_secs(1_000)), 50);
    }
}
