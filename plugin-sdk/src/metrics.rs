//! Numbers for the operator, under the plugin's name: `metrics::count("rejected", 1)`.
//!
//! Names are `[a-z][a-z0-9_]*`, at most 64 bytes and 64 of them; a name is a counter or a gauge, whichever it was first. Counters begin
//! at zero with each start of the gateway and are one for all bindings that use the plugin. In native tests
//! [`Tester::metric`](crate::testing::Tester::metric) reads them, and a name that the gateway would not keep panics.

/// Adds to a counter.
#[cfg_attr(not(target_arch = "wasm32"), track_caller)]
pub fn count(name: &str, add: u64) {
    host::count(name, add);
}

/// Sets a gauge.
#[cfg_attr(not(target_arch = "wasm32"), track_caller)]
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

    const MAX_METRICS: usize = 64;
    const MAX_METRIC_NAME_BYTES: usize = 64;

    #[derive(Clone, Copy, PartialEq)]
    enum Kind {
        Counter,
        Gauge,
    }

    thread_local! {
        static VALUES: RefCell<BTreeMap<String, (Kind, f64)>> = const { RefCell::new(BTreeMap::new()) };
    }

    #[track_caller]
    #[expect(clippy::cast_precision_loss, reason = "a test counts to less than 2^53")]
    pub fn count(name: &str, add: u64) {
        update(name, Kind::Counter, |value| value + add as f64);
    }

    #[track_caller]
    pub fn gauge(name: &str, value: f64) {
        update(name, Kind::Gauge, |_| value);
    }

    pub fn get(name: &str) -> Option<f64> {
        VALUES.with_borrow(|values| values.get(name).map(|(_, value)| *value))
    }

    /// The gateway says once in its log that it does not keep such a metric, and goes on. A test that went on would be right about a
    /// number that nobody will see.
    #[track_caller]
    fn update(name: &str, kind: Kind, change: impl FnOnce(f64) -> f64) {
        let kept = VALUES.with_borrow_mut(|values| {
            if !values.contains_key(name) && (values.len() >= MAX_METRICS || !is_name(name)) {
                return false;
            }
            let (first, value) = values.entry(name.to_owned()).or_insert((kind, 0.0));
            *value = change(*value);
            *first == kind
        });
        assert!(
            kept,
            "the gateway keeps no metric `{name}`: names are `[a-z][a-z0-9_]*`, at most {MAX_METRIC_NAME_BYTES} bytes and \
             {MAX_METRICS} of them, each a counter or a gauge and not both"
        );
    }

    fn is_name(name: &str) -> bool {
        let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(rest)
            && name.len() <= MAX_METRIC_NAME_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::fake;

    /// Each in a thread of its own, which has no metrics yet.
    fn panics(work: impl FnOnce() + Send + 'static) -> bool {
        std::thread::spawn(work).join().is_err()
    }

    #[test]
    fn names_of_another_form_are_refused() {
        for bad in ["", "Seen", "1st", "a b", "a\n", "é"] {
            assert!(panics(move || fake::count(bad, 1)), "{bad}");
        }
        assert!(panics(|| fake::gauge(&"x".repeat(65), 1.0)));
        assert!(!panics(|| fake::gauge(&"x".repeat(64), 1.0)));
    }

    #[test]
    fn what_a_name_is_it_stays_and_there_are_only_so_many() {
        assert!(panics(|| {
            fake::count("n", 1);
            fake::gauge("n", 1.0);
        }));
        let names = |count: usize| (0..count).for_each(|number| fake::count(&format!("n{number}"), 1));
        assert!(!panics(move || names(64)) && panics(move || names(65)));
    }
}
