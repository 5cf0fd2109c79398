//! What is in use now, and is replaced whole by a reload.
//!
//! Whoever asks has a share of it, and goes on with that when another one takes its place. For what is asked for each connection, not for
//! each message: a share is counted.

use std::sync::{Arc, PoisonError, RwLock};

#[derive(Debug, Default)]
pub struct Current<T>(RwLock<Arc<T>>);

// === impl Current ===

impl<T> Current<T> {
    pub fn new(first: T) -> Self {
        Self(RwLock::new(Arc::new(first)))
    }

    pub fn get(&self) -> Arc<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, next: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_share_keeps_it() {
        let current = Current::new(1);
        let before = current.get();
        current.set(2);
        assert_eq!((*before, *current.get()), (1, 2));
    }
}
