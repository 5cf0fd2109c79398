//! The rows, and what they are measured by.

use std::time::Duration;

use super::honest::Seen;
use super::measure::{Held, Load, Loaded, Measured};

pub const COLUMNS: [&str; 12] = [
    "load",
    "sent, MiB",
    "charged, MiB",
    "resident: quiet, most, after a restart (allowed), MiB",
    "PUBACK p50 / p99 quiet, ms",
    "beside the load, ms",
    "beside as much other work, ms",
    "longest ping, ms",
    "written, MiB",
    "dead letters",
    "refused with",
    "missed",
];

/// Beyond what the account says, and half of that for what an allocator needs.
const OVERHEAD: usize = 32 << 20;

/// By how much the p99 of honest devices may grow, beyond what any work of this kind makes of it.
const SLOWER: u32 = 3;

/// Two cores run the gateway, who attacks it and who measures: so much is no noise any more.
const MUCH_SLOWER: u32 = 100;

const PING: Duration = Duration::from_millis(100);

/// What a load did not keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    Memory,
    MemoryAfterRestart,
    /// More than three times, said only: the machine may have been busy.
    Slower(u32),
    Ping,
    Unanswered(usize),
}

// === impl Measured ===

impl Measured {
    pub fn row(&self, load: &Load) -> Vec<String> {
        let Loaded { held, sent, written, letters, refusals, .. } = &self.loaded;
        let memory = [self.before.memory, held.memory, self.restarted.memory].map(mib).join(", ");
        let cells = [load.sends.to_owned(), mib(*sent), mib(held.charge)];
        let (memory, written) = (format!("{memory} ({})", mib(self.allowed(held))), mib(*written));
        let missed: Vec<String> = self.missed().into_iter().map(Missed::words).collect();
        let ping = ms(self.loaded.seen.longest_ping());
        let times = [times(&self.quiet), times(&self.loaded.seen), self.other_work()];
        cells
            .into_iter()
            .chain([memory])
            .chain(times)
            .chain([ping, written, letters.to_string(), refusals.clone(), missed.join(", ")])
            .collect()
    }

    /// With the cores that it took.
    fn other_work(&self) -> String {
        format!("{} ({:.1} cores)", times(&self.busy), self.loaded.cores)
    }

    pub fn missed(&self) -> Vec<Missed> {
        let ratio = self.slower();
        let failed = self.quiet.failed + self.loaded.seen.failed;
        [
            (self.loaded.held.memory > self.allowed(&self.loaded.held)).then_some(Missed::Memory),
            (self.restarted.memory > self.allowed_after_restart()).then_some(Missed::MemoryAfterRestart),
            (ratio > SLOWER).then_some(Missed::Slower(ratio)),
            (self.loaded.seen.longest_ping() > PING).then_some(Missed::Ping),
            (failed > 0).then_some(Missed::Unanswered(failed)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Than on the same machine with as much to do for somebody else.
    fn slower(&self) -> u32 {
        let without = self.quiet.percentile(99).max(self.busy.percentile(99));
        self.loaded.seen.percentile(99).div_duration_f64(without).ceil() as u32
    }

    /// What was there, or what is there now.
    fn allowed_after_restart(&self) -> usize {
        self.allowed(&self.loaded.held).max(self.allowed(&self.restarted))
    }

    fn allowed(&self, held: &Held) -> usize {
        self.before.memory + held.charge.saturating_sub(self.before.charge) * 3 / 2 + OVERHEAD
    }
}

// === impl Missed ===

impl Missed {
    /// What no busy machine explains.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Slower(ratio) => ratio > MUCH_SLOWER,
            Self::Ping => false,
            Self::Memory | Self::MemoryAfterRestart | Self::Unanswered(_) => true,
        }
    }

    pub fn words(self) -> String {
        match self {
            Self::Memory => "memory".to_owned(),
            Self::MemoryAfterRestart => "memory after a restart".to_owned(),
            Self::Slower(ratio) => format!("p99 {ratio} times"),
            Self::Ping => "ping".to_owned(),
            Self::Unanswered(count) => format!("{count} honest messages without an answer"),
        }
    }
}

fn times(seen: &Seen) -> String {
    format!("{} / {}", ms(seen.percentile(50)), ms(seen.percentile(99)))
}

fn mib(bytes: usize) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

fn ms(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
