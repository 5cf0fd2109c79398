//! Bytes that somebody holds for a while, for whoever waits until they are fewer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Debug, Default)]
pub struct HeldBytes(Arc<AtomicUsize>);

/// Some of them, until it is dropped.
#[derive(Debug)]
pub struct HeldPart {
    of: HeldBytes,
    bytes: usize,
}

// === impl HeldBytes ===

impl HeldBytes {
    pub fn hold(&self, bytes: usize) -> HeldPart {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        HeldPart { of: self.clone(), bytes }
    }

    pub fn total(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl HeldPart ===

impl HeldPart {
    pub fn grow(&mut self, bytes: usize) {
        self.of.0.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }
}

impl Drop for HeldPart {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_goes_with_who_holds_it() {
        let held = HeldBytes::default();
        let (one, mut other) = (held.hold(3), held.clone().hold(4));
        assert_eq!(held.total(), 7);
        other.grow(5);
        drop(one);
        assert_eq!(held.total(), 9);
        drop(other);
        assert_eq!(held.total(), 0);
    }
}
