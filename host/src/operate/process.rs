//! The process as the kernel sees it, under the names that every client library of Prometheus gives it.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::base::clock;
use crate::metrics::Families;

/// A wall clock that is set by more than this, as on a board without a battery, moves the start.
const SET_BY_MS: u64 = 60_000;

#[derive(Debug)]
pub struct Process {
    started: Instant,
    /// On the wall clock. Kept, because a start that moves by a millisecond with each look would be taken for restarts.
    started_ms: AtomicU64,
}

// === impl Process ===

impl Process {
    pub fn new() -> Self {
        Self { started: clock::now(), started_ms: AtomicU64::new(clock::unix_ms()) }
    }

    pub fn measure(&self, to: &mut Families) {
        let help = "Start of the process, in seconds since the Unix epoch.";
        to.gauge("process_start_time_seconds", help, &[], self.start_ms() as f64 / 1e3);
        let cpu = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
        to.counter("process_cpu_seconds_total", "Time of the processor, user and system.", &[], cpu.as_secs_f64());
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        for (name, help, field) in [
            ("process_resident_memory_bytes", "Resident memory.", "VmRSS"),
            ("process_virtual_memory_bytes", "Virtual memory.", "VmSize"),
        ] {
            if let Some(kib) = number(&status, field) {
                to.gauge(name, help, &[], (kib * 1_024) as f64);
            }
        }
        if let Some(threads) = number(&status, "Threads") {
            to.gauge("process_threads", "Threads.", &[], threads as f64);
        }
        if let Some(open) = open_descriptors() {
            to.gauge("process_open_fds", "Open file descriptors.", &[], open as f64);
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            to.gauge("process_max_fds", "The most file descriptors that may be open.", &[], most as f64);
        }
    }

    fn start_ms(&self) -> u64 {
        let by_now = clock::unix_ms_of(self.started);
        let told = self.started_ms.load(Ordering::Relaxed);
        if by_now.abs_diff(told) <= SET_BY_MS {
            return told;
        }
        self.started_ms.store(by_now, Ordering::Relaxed);
        by_now
    }
}

/// From `VmRSS:     1234 kB`.
fn number(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Linux 6.2 says it as a size; before that, they are counted.
fn open_descriptors() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    let size = fs::metadata(FOLDER).ok()?.len();
    if size > 0 { Some(size) } else { Some(fs::read_dir(FOLDER).ok()?.count() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_stays_where_it_is_until_somebody_sets_the_clock() {
        let process = Process::new();
        let first = process.start_ms();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(process.start_ms(), first);
        process.started_ms.store(1_000, Ordering::Relaxed);
        assert!(process.start_ms().abs_diff(first) < 2_000);
    }

    #[test]
    fn this_process_has_all_of_it() {
        let mut families = Families::default();
        Process::new().measure(&mut families);
        let families = families.into_vec();
        assert_eq!(families.len(), 7, "{families:?}");
        assert!(families.iter().all(|family| family.samples[0].value > 0.0), "{families:?}");
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        assert_eq!(number("VmRSSx:\t1 kB\nVmRSS:\t  42 kB\n", "VmRSS"), Some(42));
        assert_eq!(number("", "VmRSS"), None);
    }
}
