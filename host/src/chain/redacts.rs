//! Whether a chain has a plugin that must not be left out (`redact`): what a message is before that is for nobody's eyes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shared by a lane and its chain, which may start late. Until it is known it counts as one that has.
#[derive(Clone, Debug)]
pub(super) struct Redacts(Arc<AtomicBool>);

// === impl Redacts ===

impl Redacts {
    pub fn unknown() -> Self {
        Self::of(true)
    }

    pub fn of(redacts: bool) -> Self {
        Self(Arc::new(AtomicBool::new(redacts)))
    }

    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, other: &Self) {
        self.0.store(other.get(), Ordering::Relaxed);
    }
}
