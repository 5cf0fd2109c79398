//! What a process costs, as the kernel counts it: `proc(5)`.

use std::fs;
use std::path::Path;

/// `sysconf(_SC_CLK_TCK)` is 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time, seconds, of all threads and of children that were waited for.
    pub cpu: f64,
    /// Resident memory now, KiB.
    pub resident: u64,
    /// The most it ever was, KiB.
    pub peak: u64,
}

/// What the threads of a process that live have used, finer than [`Usage`] has it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Activity {
    /// Time on a processor, in nanoseconds.
    pub cpu: u64,
    /// How often they went to sleep, and so were woken.
    pub wakes: u64,
}

// === impl Usage ===

impl Usage {
    pub fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        Self { cpu: cpu(pid), resident: field(&status, "VmRSS:"), peak: field(&status, "VmHWM:") }
    }
}

// === impl Activity ===

impl Activity {
    pub fn of(pid: u32) -> Self {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        threads
            .map(|thread| Self::of_thread(&thread.path()))
            .fold(Self::default(), |sum, one| Self { cpu: sum.cpu + one.cpu, wakes: sum.wakes + one.wakes })
    }

    fn of_thread(path: &Path) -> Self {
        let read = |name| fs::read_to_string(path.join(name)).unwrap_or_default();
        let cpu = read("schedstat").split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or_default();
        Self { cpu, wakes: field(&read("status"), "voluntary_ctxt_switches:") }
    }

    pub fn since(self, before: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(before.cpu), wakes: self.wakes.saturating_sub(before.wakes) }
    }
}

/// The program's name may contain spaces and parentheses: fields are counted from the last one.
fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // State is the third field of the page, utime the fourteenth.
    let ticks = |field: usize| after_name.split_whitespace().nth(field - 3).and_then(|text| text.parse::<f64>().ok());
    [14, 15, 16, 17].into_iter().filter_map(ticks).sum::<f64>() / TICKS_PER_SECOND
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
