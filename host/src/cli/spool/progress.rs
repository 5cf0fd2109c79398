//! How far long work has come, on stderr: nothing for what is done at once.

use std::time::{Duration, Instant};

/// Work that takes less is not talked about.
const QUIET: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_secs(2);

/// Hears of each segment that is begun.
pub fn progress(what: &'static str) -> impl FnMut(u64, u64) {
    let mut next = Instant::now() + QUIET;
    move |done, all| {
        let now = Instant::now();
        if now >= next {
            eprintln!("{what}: {done} of {all} segments");
            next = now + EVERY;
        }
    }
}
