//! Whether the gateway lives, and whether it does all of its work: two questions, because the answer to the first is a restart, and to the
//! second is not.

use std::time::Duration;

use super::Observer;
use super::stopped;

/// The sweep of sessions comes by each second.
const SWEEP_LATE: Duration = Duration::from_secs(15);
/// A worn SD card takes a second or two now and then.
const DISK_LATE: Duration = Duration::from_secs(10);

/// What does not live any more, so that only a restart helps. It takes the locks that everything takes: where one does not come free,
/// neither does this return.
pub fn dead(observer: &Observer) -> Vec<String> {
    let late = observer.sessions.heartbeat().since();
    let is_late = late > SWEEP_LATE;
    observer.spool.waiting();
    let of_sweep = is_late.then(|| format!("the sweep of sessions has not come by for {} s", late.as_secs()));
    of_sweep.into_iter().collect()
}

/// What is missing. Not an upstream that is away: that is what a spool is for.
pub fn missing(observer: &Observer) -> Vec<String> {
    let starting = observer.starting();
    let starting = starting.iter().map(|name| format!("binding `{name}`: its plugins are being compiled or started"));
    let standings = observer.standings.get();
    let stopped = standings.iter().filter_map(stopped::snapshot);
    let stopped = stopped.map(|one| format!("binding `{}` is stopped: {}", one.binding, one.reason));
    let stalled = observer.counters.spool.stalled().filter(|stalled| *stalled > DISK_LATE);
    let stalled = stalled.map(|stalled| format!("spool: the disk has not answered for {} s", stalled.as_secs()));
    starting.chain(stopped).chain(stalled).collect()
}
