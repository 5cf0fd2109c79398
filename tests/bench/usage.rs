//! What a process costs, as the kernel counts it: `proc(5)`.

use std::fs;

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

// === impl Usage ===

impl Usage {
    pub fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        Self { cpu: cpu(pid), resident: field(&status, "VmRSS:"), peak: field(&status, "VmHWM:") }
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
