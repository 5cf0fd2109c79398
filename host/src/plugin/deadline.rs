//! How long a call into a guest may take: in time of the processor, and not by the clock on the wall.
//!
//! Epochs stop a guest and cost it nothing (`ticker`), but an epoch passes for everybody. A guest whose thread waits for the
//! processor, or for its own code to be read from a busy disk, would be ended for what it did not do: its message a dead letter,
//! and a gateway that starts at such a time refused. So the epochs only ask, and the CPU time of the thread answers.
//!
//! Reading that is a system call, a tenth of a call into a guest: it is read at the first epoch within a call, which a quick one
//! never sees. What came before is at most one tick, and is not counted.

use std::time::Duration;

use super::ticker::Ticker;

/// Of the call that runs.
#[derive(Debug, Default)]
pub struct Deadline {
    allowed: Duration,
    /// The thread's CPU time when it was read first.
    begun: Option<Duration>,
}

// === impl Deadline ===

impl Deadline {
    /// A call begins. After so many ticks, ask.
    pub fn begin(&mut self, allowed: Duration) -> u64 {
        *self = Self { allowed, begun: None };
        1
    }

    /// After how many ticks to ask again; `None` when it has passed. In the half of what is left: ticks are a little long, and a
    /// hundred of them would add up.
    pub fn ask(&mut self, cpu_time: Duration) -> Option<u64> {
        let begun = *self.begun.get_or_insert(cpu_time);
        let left = self.allowed.saturating_sub(cpu_time.saturating_sub(begun));
        (!left.is_zero()).then(|| Ticker::ticks(left / 2))
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
        let mut deadline = Deadline::default();
        assert_eq!(deadline.begin(ms(100)), 1);
        assert_eq!(deadline.ask(ms(7_001)), Some(50));
        assert_eq!(deadline.ask(ms(7_052)), Some(25));
        assert_eq!(deadline.ask(ms(7_101)), None);
    }

    #[test]
    fn a_guest_that_is_kept_from_computing_has_the_rest_of_its_time() {
        let mut deadline = Deadline::default();
        deadline.begin(ms(100));
        let answers = [50, 50, 51, 149, 150].map(|cpu_time| deadline.ask(ms(cpu_time)));
        assert_eq!(answers, [Some(50), Some(50), Some(50), Some(1), None]);
    }

    #[test]
    fn each_call_has_its_own_time() {
        let mut deadline = Deadline::default();
        for cpu_time in [50, 150] {
            deadline.begin(ms(100));
            assert_eq!(deadline.ask(ms(cpu_time)), Some(50));
        }
    }
}
