//! What a process holds and writes, as the kernel counts it: `proc(5)`.

use std::fs;
use std::time::Duration;

/// `USER_HZ`, in which the kernel tells all programs, whatever its own clock.
const TICK: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
pub struct Footprint(u32);

// === impl Footprint ===

impl Footprint {
    pub fn of(process: u32) -> Self {
        Self(process)
    }

    /// Bytes of resident memory.
    pub fn resident(self) -> usize {
        self.kib("VmRSS:")
    }

    /// The most they were since [`Footprint::forget_peak`], or since the start.
    pub fn peak(self) -> usize {
        self.kib("VmHWM:")
    }

    pub fn forget_peak(self) {
        fs::write(self.file("clear_refs"), "5").expect("a process of our own");
    }

    /// Bytes that it has caused to be written to a medium.
    pub fn written(self) -> usize {
        field(&self.read("io"), "write_bytes:")
    }

    /// Of all its threads, those that have ended among them.
    pub fn processor_time(self) -> Duration {
        let stat = self.read("stat");
        // Its name stands in brackets, and may have anything in it. Then a state, ten numbers, and the ticks in user and in system mode.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok());
        TICK * ticks.sum::<u32>()
    }

    fn kib(self, name: &str) -> usize {
        1_024 * field(&self.read("status"), name)
    }

    fn read(self, file: &str) -> String {
        fs::read_to_string(self.file(file)).expect("the process runs")
    }

    fn file(self, name: &str) -> String {
        format!("/proc/{}/{name}", self.0)
    }
}

fn field(text: &str, name: &str) -> usize {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in {text}"))
}
