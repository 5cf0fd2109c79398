//! Waiting for conditions. Nothing in these tests waits for a duration.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Patience for everything that should happen at once: long, so that a loaded machine is innocent. Half a minute is not: a disk
/// that others keep busy may take so long over one sync. It costs nothing, because every wait ends with its condition.
pub const SOON: Duration = Duration::from_secs(120);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until `condition` gives something; panics with `what` after `deadline`.
pub fn eventually<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < end, "did not happen within {deadline:?}: {what}");
        sleep(LOOK);
    }
}

/// Waits [`SOON`] until `condition` holds.
pub fn soon(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, SOON, || condition().then_some(()));
}
