//! How much of its state a plugin may write in a second, over all of its bindings.
//!
//! State is as durable as messages, so that each change goes to the disk: a plugin that changes a value of a megabyte with each small
//! message, or at each tick, takes the disk away from everybody. What is beyond is the failure of the message, and one that passes: it is
//! tried again as the binding's `retry` says, during which its lane waits.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::base::token_bucket::TokenBucket;
use crate::config::PluginLimits;

/// Of one plugin, shared by its stores.
#[derive(Clone, Debug)]
pub struct StateBudget {
    bucket: Arc<Mutex<TokenBucket>>,
    per_second: u32,
}

/// A call has changed more than there was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it changed {bytes} bytes of its state, and has no more left of {per_second} in a second: change less of it, or raise \
     `limits.state_per_second`"
)]
pub struct Overdrawn {
    bytes: usize,
    per_second: u32,
}

// === impl StateBudget ===

impl StateBudget {
    /// At once: what is written in a second, or all that may be remembered.
    pub fn new(limits: &PluginLimits, now: Instant) -> Self {
        let number = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        let per_second = number(limits.state_per_second);
        let bucket = TokenBucket::full(per_second.max(number(limits.state)), Duration::from_secs(1) / per_second, now);
        Self { bucket: Arc::new(Mutex::new(bucket)), per_second }
    }

    pub fn take(&self, bytes: usize, now: Instant) -> Result<(), Overdrawn> {
        let tokens = u32::try_from(bytes).unwrap_or(u32::MAX);
        let is_taken = self.bucket.lock().unwrap_or_else(PoisonError::into_inner).take(tokens, now);
        if is_taken { Ok(()) } else { Err(Overdrawn { bytes, per_second: self.per_second }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_state_at_once_and_then_so_much_in_a_second() {
        let limits = PluginLimits { state: 10_000, state_per_second: 1_000, ..PluginLimits::default() };
        let start = Instant::now();
        let budget = StateBudget::new(&limits, start);
        assert_eq!(budget.take(10_000, start), Ok(()));
        let error = budget.take(900, start + Duration::from_millis(500)).unwrap_err();
        assert!(error.to_string().contains("`limits.state_per_second`"));
        assert_eq!(budget.take(900, start + Duration::from_secs(1)), Ok(()));
    }
}
