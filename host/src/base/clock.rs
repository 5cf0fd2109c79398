//! The wall clock, and that of a thread, read in one place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// This moment on the clock that only goes forward: that of the runtime, so that a test which pauses time pauses all of it.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long ago it was. Nothing, when it is ahead.
pub fn since(moment: Instant) -> Duration {
    now().saturating_duration_since(moment)
}

/// Milliseconds since the Unix epoch; 0 while the clock stands before it, as on a board without a battery.
pub fn unix_ms() -> u64 {
    wall().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(not(test))]
fn wall() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
fn wall() -> SystemTime {
    simulated::wall().unwrap_or_else(SystemTime::now)
}

/// A moment of the past on the wall clock, for what is written down.
pub fn unix_ms_of(moment: Instant) -> u64 {
    unix_ms().saturating_sub(u64::try_from(since(moment).as_millis()).unwrap_or(u64::MAX))
}

/// How long ago it was. Nothing, when the clock has been set back since.
pub fn since_unix_ms(moment: u64) -> Duration {
    Duration::from_millis(unix_ms().saturating_sub(moment))
}

/// How long it is until then. Nothing, when it has passed.
pub fn until_unix_ms(moment: u64) -> Duration {
    Duration::from_millis(moment.saturating_sub(unix_ms()))
}

/// What the processor has done for this thread: stands still while it waits, for the processor too.
pub fn thread_cpu_time() -> Duration {
    #[cfg(test)]
    if simulated::wall().is_some() {
        return Duration::ZERO;
    }
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// 1 January 2024. A clock that stood before it when something arrived had not been set yet.
const PLAUSIBLE_MS: u64 = 1_704_067_200_000;

/// Whether the clock that told this had been set.
pub fn is_plausible(unix_ms: u64) -> bool {
    unix_ms >= PLAUSIBLE_MS
}

/// The moment that the wall clock called `unix_ms`, for what an earlier process wrote down. A time that cannot be, of a clock
/// that was not set or lies ahead, is taken as now: what is of unknown age expires later rather than sooner.
pub fn instant_of(unix_ms: u64) -> Instant {
    let now = now();
    let held = if !is_plausible(unix_ms) { 0 } else { self::unix_ms().saturating_sub(unix_ms) };
    // Before the machine started, which is fine on Linux; where an `Instant` cannot say that, the age is unknown too.
    now.checked_sub(Duration::from_millis(held)).unwrap_or(now)
}

/// A wall clock that a test sets: it goes with the runtime's time, and jumps when it is told to.
#[cfg(test)]
pub mod simulated {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        /// The runtime's time when the wall clock was set, and what it was set to.
        static SET: Cell<Option<(Instant, SystemTime)>> = const { Cell::new(None) };
    }

    /// From now on, for this thread. `None`: the machine's own again.
    pub fn set(unix_ms: Option<u64>) {
        SET.set(unix_ms.map(|ms| (now(), UNIX_EPOCH + Duration::from_millis(ms))));
    }

    pub(super) fn wall() -> Option<SystemTime> {
        SET.get().map(|(at, wall)| wall + since(at))
    }
}
