//! Numbers for the operator, under the plugin's name: `metrics::count("rejected", 1)`.
//!
//! Names are `[a-z][a-z0-9_]*`, at most 64 bytes and 64 of them; a name is a counter or a gauge, whichever it was first. Counters begin
//! at zero with each start of the gateway and are one for all bindings that use the plugin. In native tests
//! [`Tester::metric`](crate::testing::Tester::metric) reads them.

/// Adds to a counter.
pub fn count(name: &str, add: u64) {
    host::count(name, add);
}

/// Sets a gauge.
pub fn gauge(name: &str, value: f64) {
    host::gauge(name, value);
}

#[cfg(target_arch = "wasm32")]
use crate::bindings::tidegate::plugin::metrics as host;

#[cfg(not(target_arch = "wasm32"))]
use fake as host;

/// The host's side on a developer's machine: memory of the thread, which is the test.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod fake {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    thread_local! {
        static VALUES: RefCell<BTreeMap<String, f64>> = const { RefCell::new(BTreeMap::new()) };
    }

    #[expect(clippy::cast_precision_loss, reason = "a test counts to less than 2^53")]
    pub fn count(name: &str, add: u64) {
        VALUES.with_borrow_mut(|values| *values.entry(name.to_owned()).or_default() += add as f64);
    }

    pub fn gauge(name: &str, value: f64) {
        VALUES.with_borrow_mut(|values| *values.entry(name.to_owned()).or_default() = value);
    }

    pub fn get(name: &str) -> Option<f64> {
        VALUES.with_borrow(|values| values.get(name).copied())
    }
}
