//! The gateway's own time: milliseconds that nobody sets. What has a deadline or grows old is written down in it.
//!
//! A wall clock is set: from 1970 to the present when the network comes up, by days on a board that has only the time of its last
//! shutdown. What was written by the one clock and is read by the other is decades old, or not due for decades. So:
//!
//! - **While the gateway runs** its time goes with the monotonic clock, whatever becomes of the wall clock.
//! - **While it does not run** its time goes on by as much as is known to have passed: see [`Anchor::time_at`]. What is kept for that is a small
//!   file, written twice a minute ([`AnchorFile`]).
//! - **It begins** where the wall clock stood at the first start, which is also what earlier versions wrote: their records are read as they are.
//!
//! It is for deadlines alone. What people and plugins are told is told by the wall clock (`base::clock`).

mod anchor;
mod file;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use self::anchor::{Anchor, Moment};
pub use self::file::AnchorFile;
use super::clock::{self, is_plausible};
use super::fault::{self, Fault};

/// A moment on the monotonic clock, and what the gateway's time was then.
#[derive(Clone, Copy)]
struct Begun {
    at: Instant,
    ms: u64,
}

static BEGUN: OnceLock<Begun> = OnceLock::new();

/// Goes on from what the last process has left, when it has left something. Once, before anything is read that is older than this process.
pub fn begin(last: Option<&Anchor>) {
    let now = Moment::read();
    let ms = last.map_or_else(|| now.first_ms(), |last| last.time_at(&now));
    let _ = BEGUN.set(Begun { at: clock::now(), ms });
}

fn begun() -> Begun {
    *BEGUN.get_or_init(|| Begun { at: clock::now(), ms: Moment::read().first_ms() })
}

pub fn now_ms() -> u64 {
    ms_of(clock::now())
}

/// What it was, or will be, at that moment.
pub fn ms_of(moment: Instant) -> u64 {
    if fault::is_on(Fault::DeadlinesByWallClock) {
        return clock::unix_ms_of(moment);
    }
    let Begun { at, ms } = begun();
    match moment.checked_duration_since(at) {
        Some(after) => ms.saturating_add(milliseconds(after)),
        None => ms.saturating_sub(milliseconds(at.saturating_duration_since(moment))),
    }
}

/// How long ago it was. Nothing for what lies ahead, and for what a clock has written that was not set: what is of unknown age
/// expires later rather than sooner.
pub fn age_of(ms: u64) -> Duration {
    let age = if is_plausible(ms) { now_ms().saturating_sub(ms) } else { 0 };
    Duration::from_millis(age)
}

/// How long it is until then. Nothing, when it has passed.
pub fn until(ms: u64) -> Duration {
    Duration::from_millis(ms.saturating_sub(now_ms()))
}

/// The moment that is so old.
pub fn instant_of(ms: u64) -> Instant {
    let now = clock::now();
    // Before the machine started, which is fine on Linux; where an `Instant` cannot say that, the age is unknown too.
    now.checked_sub(age_of(ms)).unwrap_or(now)
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_is_set_moves_nothing() {
        let before = now_ms();
        for jumped in [0, 1_900_000_000_000] {
            clock::simulated::set(Some(jumped));
            let after = now_ms();
            clock::simulated::set(None);
            assert!(after >= before && after - before < 60_000, "{before} {after}");
        }
    }

    #[test]
    fn a_moment_is_found_again_by_what_is_written_of_it() {
        let moment = clock::now().checked_sub(Duration::from_secs(90)).expect("the machine runs for longer");
        let found = instant_of(ms_of(moment));
        assert!(found.max(moment) - found.min(moment) < Duration::from_millis(100));
    }

    #[test]
    fn what_is_of_unknown_age_is_new() {
        assert_eq!(age_of(5_000), Duration::ZERO, "written in 1970");
        assert_eq!(age_of(now_ms() + 1_000_000), Duration::ZERO, "written by a clock that was ahead");
    }
}
