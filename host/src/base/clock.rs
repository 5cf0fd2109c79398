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

/// A moment of the past on the wall clock, for what people and plugins are told. Deadlines are written in another time
/// (`base::timeline`): this clock is set by others.
pub fn unix_ms_of(moment: Instant) -> u64 {
    unix_ms().saturating_sub(u64::try_from(since(moment).as_millis()).unwrap_or(u64::MAX))
}

/// How long ago it was, as people are told. Nothing, when the clock has been set back since.
pub fn since_unix_ms(moment: u64) -> Duration {
    Duration::from_millis(unix_ms().saturating_sub(moment))
}

/// How long it is until then, as people are told. Nothing, when it has passed.
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

/// How long the machine has been running, its sleep included.
pub fn uptime_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).map_or(0, |up| u64::try_from(up.as_millis()).unwrap_or(u64::MAX))
}

/// 1 January 2024. A clock that stands before it has not been set yet.
pub const EARLIEST_PLAUSIBLE_MS: u64 = 1_704_067_200_000;

/// Whether the clock that told this had been set.
pub fn is_plausible(unix_ms: u64) -> bool {
    unix_ms >= EARLIEST_PLAUSIBLE_MS
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
