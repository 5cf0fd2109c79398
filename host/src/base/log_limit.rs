//! The log's limit for each line of code that speaks: whatever happens often is said often, and no more often than this.
//!
//! Rooms that know that they may be flooded count what they leave out by themselves (`base/rate_limit`), and say it better. This is for
//! all others, and for those that nobody has thought of: two clients that take each other's session over made 500 lines in a
//! second.
//!
//! - From `INFO` up. Who asks for `DEBUG` wants all of it.
//! - A burst passes: a start with many parts says each of them.
//! - What was left out is said with the next line of the same place that passes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::clock;
use super::token_bucket::TokenBucket;

/// Lines of one place at once, and how long it takes for one more.
const BURST: u32 = 100;
const INTERVAL: Duration = Duration::from_millis(100);

/// Has a limit of its own for each plugin, which the configuration sets.
const EXEMPT: &str = "tidegate::plugin::capability::log";

/// As a layer it decides for all others.
#[derive(Default)]
pub struct LogLimit {
    /// As many as there are places in the code that log.
    places: Mutex<HashMap<Identifier, TokenBucket>>,
}

// === impl LogLimit ===

impl LogLimit {
    /// `Some(lines left out since the last one)` when this place may speak now.
    fn permit(&self, place: Identifier, now: Instant) -> Option<u64> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(place).or_insert_with(|| TokenBucket::full(BURST, INTERVAL, now)).permit(now)
    }
}

impl<S: Subscriber> Layer<S> for LogLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || metadata.target() == EXEMPT || metadata.target() == module_path!() {
            return true;
        }
        let Some(suppressed) = self.permit(metadata.callsite(), clock::now()) else { return false };
        if suppressed > 0 {
            let (target, line) = (metadata.target(), metadata.line());
            tracing::warn!(suppressed, of = target, line, "lines like the next one were left out: there are too many");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use tracing_subscriber::layer::SubscriberExt as _;

    /// Counts what comes through.
    struct Counting(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Counting {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn each_place_has_its_own_and_who_debugs_gets_all() {
        let lines = Arc::<AtomicUsize>::default();
        let log = tracing_subscriber::registry().with(Counting(lines.clone())).with(LogLimit::default());
        tracing::subscriber::with_default(log, || {
            (0..5_000).for_each(|client| tracing::warn!(client, "taken over"));
            let flooded = lines.swap(0, Relaxed);
            // On a machine that is slow, one more in each interval, and a word about it.
            assert!((100..1_000).contains(&flooded), "{flooded}");
            tracing::warn!("another place");
            (0..5_000).for_each(|n| tracing::debug!(n, "detail"));
            assert_eq!(lines.load(Relaxed), 5_001);
        });
    }
}
