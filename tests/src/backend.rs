//! The same tests on the other engine: what a machine runs that Cranelift has no code for.

use std::cell::Cell;

thread_local! {
    static PULLEY: Cell<bool> = const { Cell::new(false) };
}

/// Back to the default, also when the test has failed: a thread may run several tests.
struct Reset;

// === impl Reset ===

impl Drop for Reset {
    fn drop(&mut self) {
        PULLEY.set(false);
    }
}

/// Runs a test whose gateways have `backend = "pulley"`.
pub fn on_pulley(test: fn()) {
    let _reset = Reset;
    PULLEY.set(true);
    test();
}

/// What that adds to a configuration.
pub(crate) fn table() -> &'static str {
    if PULLEY.get() { "[engine]\nbackend = \"pulley\"\n\n" } else { "" }
}

/// These tests of this file once more, in a module `on_pulley`.
#[macro_export]
macro_rules! also_on_pulley {
    ($($test:ident),+ $(,)?) => {
        mod on_pulley {
            $(#[test] fn $test() { $crate::backend::on_pulley(super::$test) })+
        }
    };
}
