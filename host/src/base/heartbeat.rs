//! A task that comes by regularly says so; whoever looks sees for how long it has not.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::clock;

#[derive(Debug)]
pub struct Heartbeat(Mutex<Instant>);

// === impl Heartbeat ===

impl Heartbeat {
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = clock::now();
    }

    /// The last one; before the first, the start.
    pub fn since(&self) -> Duration {
        clock::since(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self(Mutex::new(clock::now()))
    }
}
