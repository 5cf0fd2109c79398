//! Lines in the gateway's log, under the plugin's name: `log::info(format!("calibrated at {offset}"))`.
//!
//! Functions, not macros and not the `log` crate: one import, and nothing to install first. The gateway limits rate and
//! length, so a line for each message is a mistake that stays harmless. In native tests the lines are kept for
//! [`Tester::log`](crate::testing::Tester::log).

pub use crate::bindings::tidegate::plugin::log::Level;

/// For the author.
pub fn debug(text: impl AsRef<str>) {
    write(Level::Debug, text.as_ref());
}

/// For the operator, when all is well.
pub fn info(text: impl AsRef<str>) {
    write(Level::Info, text.as_ref());
}

/// For the operator, to look at some time.
pub fn warn(text: impl AsRef<str>) {
    write(Level::Warn, text.as_ref());
}

/// For the operator, to look at now.
pub fn error(text: impl AsRef<str>) {
    write(Level::Error, text.as_ref());
}

#[cfg(target_arch = "wasm32")]
use crate::bindings::tidegate::plugin::log::write;

#[cfg(not(target_arch = "wasm32"))]
use fake::write;

/// The host's side of the log on a developer's machine: memory of the thread, which is the test.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod fake {
    use std::cell::RefCell;

    use super::Level;

    thread_local! {
        static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
    }

    pub fn write(level: Level, text: &str) {
        LINES.with_borrow_mut(|lines| lines.push((level, text.to_owned())));
    }

    pub fn take() -> Vec<(Level, String)> {
        LINES.take()
    }
}
