//! Chance without a generator of its own, for jitter. In one place, so that a test can choose it.

use std::hash::{BuildHasher, RandomState};

/// From 0 to 1: each `RandomState` has other keys.
pub fn chance() -> f64 {
    #[cfg(test)]
    if let Some(chosen) = chosen::next() {
        return chosen;
    }
    let bits = RandomState::new().hash_one(()) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

/// What a test has chosen, for its thread.
#[cfg(test)]
pub mod chosen {
    use std::cell::Cell;

    thread_local! {
        static SEED: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// From now on the same numbers follow the same seed.
    pub fn seed(seed: Option<u64>) {
        SEED.set(seed);
    }

    pub(super) fn next() -> Option<f64> {
        let seed = SEED.get()?.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        SEED.set(Some(seed));
        Some((seed >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_lies_between_nothing_and_certainty() {
        assert!((0..1000).map(|_| chance()).all(|chance| (0.0..1.0).contains(&chance)));
    }

    #[test]
    fn the_same_seed_is_followed_by_the_same_numbers() {
        let numbers = || {
            chosen::seed(Some(7));
            let numbers: Vec<f64> = (0..10).map(|_| chance()).collect();
            chosen::seed(None);
            numbers
        };
        assert_eq!(numbers(), numbers());
    }
}
