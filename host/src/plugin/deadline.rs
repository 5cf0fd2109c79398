//! How long a call into a guest may take: in time of the processor, and not by the clock on the wall.
//!
//! Epochs stop a guest and cost it nothing (`epoch`), but an epoch passes for everybody. A guest whose thread waits for the
//! processor, or for its own code to be read from a busy disk, would be ended for what it did not do: its message a dead letter,
//! and a gateway that starts at such a time refused. So the epochs only ask, and the CPU time of the thread answers.
//!
//! By the wall it may take ten times as long and no longer: whoever waits behind it has waited enough, whoever's fault that is.
//!
//! Reading CPU time is a system call, a tenth of a call into a guest: it is read at the first epoch within a call, which a quick one
//! never sees. What came before is at most a tenth of the deadline (`epoch`), and is not counted.

use std::time::{Duration, Instant};

use super::epoch::EpochTicker;

/// How much longer a call may take by the clock on the wall than the processor may work for it.
const WALL: u32 = 10;

/// Of the call that runs.
#[derive(Debug, Default)]
pub struct Deadline {
    allowed: Duration,
    /// The thread's CPU time, and that on the wall, when they were read first.
    begun: Option<(Duration, Instant)>,
}

// === impl Deadline ===

impl Deadline {
    /// Ticks before the first question.
    pub const FIRST: u64 = 1;

    /// A call begins.
    pub fn begin(&mut self, allowed: Duration) {
        *self = Self { allowed, begun: None };
    }

    /// After how many ticks to ask again; `None` when it has passed. In the half of what is left: ticks are a little long, and a
    /// hundred of them would add up.
    pub fn ask(&mut self, cpu_time: Duration, now: Instant) -> Option<u64> {
        let (cpu_begun, begun) = *self.begun.get_or_insert((cpu_time, now));
        let left = self.allowed.saturating_sub(cpu_time.saturating_sub(cpu_begun));
        let is_late = now.saturating_duration_since(begun) >= self.allowed.saturating_mul(WALL);
        (!left.is_zero() && !is_late).then(|| EpochTicker::ticks(left / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_guest_that_computes_is_ended_when_its_time_is_used_up() {
        let (mut deadline, now) = (Deadline::default(), Instant::now());
        deadline.begin(ms(100));
        assert_eq!(deadline.ask(ms(7_001), now), Some(50));
        assert_eq!(deadline.ask(ms(7_052), now + ms(51)), Some(25));
        assert_eq!(deadline.ask(ms(7_101), now + ms(100)), None);
    }

    #[test]
    fn a_guest_that_is_kept_from_computing_has_the_rest_of_its_time() {
        let (mut deadline, now) = (Deadline::default(), Instant::now());
        deadline.begin(ms(100));
        let answers = [(50, 0), (50, 300), (51, 600), (149, 900), (150, 950)];
        let answers = answers.map(|(cpu_time, wall)| deadline.ask(ms(cpu_time), now + ms(wall)));
        assert_eq!(answers, [Some(50), Some(50), Some(50), Some(1), None]);
    }

    #[test]
    fn nobody_waits_for_it_more_than_ten_times_as_long() {
        let (mut deadline, now) = (Deadline::default(), Instant::now());
        deadline.begin(ms(100));
        let answers = [0, 999, 1_000].map(|wall| deadline.ask(ms(7), now + ms(wall)));
        assert_eq!(answers, [Some(50), Some(50), None]);
    }

    #[test]
    fn each_call_has_its_own_time() {
        let (mut deadline, now) = (Deadline::default(), Instant::now());
        for cpu_time in [50, 150] {
            deadline.begin(ms(100));
            assert_eq!(deadline.ask(ms(cpu_time), now + ms(cpu_time * 100)), Some(50));
        }
    }
}
