//! A circuit breaker: a plugin that only fails is not asked any more, for a while.
//!
//! ```text
//!            `faults` of them `within` a time
//!   closed ──────────────────────────────────▶ open
//!      ▲                                        │ after `open_for`
//!      │ the probe is answered                  ▼
//!      └──────────────────────────────────── half-open ──▶ open again, when the probe fails
//!                                            one message at a time
//! ```
//!
//! It protects the others, not the plugin: a fault costs a thread up to a deadline, a compiled instance, and the messages
//! behind it. What counts is what the plugin is to blame for: a trap, a deadline, an answer that is none, a start that
//! fails, a "not now" that outlived its retries. A message that it refuses for good is the message's fault.
//!
//! Time comes in. There is no timer: an open breaker becomes half-open when the next message asks.

use std::collections::VecDeque;
use std::time::Instant;

use crate::config::BreakerLimits;
use crate::plugin::BreakerState;

#[derive(Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    state: State,
    /// When the recent faults were: at most `limits.faults`.
    recent: VecDeque<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    Open { until: Instant },
    HalfOpen,
}

/// How many messages may go to the plugin at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Any,
    One,
    None,
}

// === impl Breaker ===

impl Breaker {
    pub fn new(limits: BreakerLimits) -> Self {
        Self { limits, state: State::Closed, recent: VecDeque::new() }
    }

    pub fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed => return Admission::Any,
            State::Open { until } if now < until => return Admission::None,
            State::Open { .. } => self.state = State::HalfOpen,
            State::HalfOpen => {}
        }
        Admission::One
    }

    pub fn fault(&mut self, now: Instant) {
        self.recent.push_back(now);
        let old = |fault: &Instant| now.saturating_duration_since(*fault) > self.limits.within;
        while self.recent.front().is_some_and(old) {
            self.recent.pop_front();
        }
        if matches!(self.state, State::HalfOpen) || self.recent.len() >= self.limits.faults {
            self.recent.clear();
            self.state = State::Open { until: now + self.limits.open_for };
        }
    }

    /// The plugin gave an answer that is one.
    pub fn success(&mut self) {
        if matches!(self.state, State::HalfOpen) {
            self.state = State::Closed;
        }
    }

    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> (Breaker, Instant) {
        (Breaker::new(BreakerLimits { faults: 3, within: 10 * SECOND, open_for: 30 * SECOND }), Instant::now())
    }

    fn open() -> (Breaker, Instant) {
        let (mut breaker, now) = breaker();
        (0..3).for_each(|_| breaker.fault(now));
        (breaker, now)
    }

    #[test]
    fn so_many_faults_in_so_much_time_open_it_and_fewer_or_slower_do_not() {
        let (mut breaker, now) = breaker();
        for fault in 0..20 {
            breaker.fault(now + fault * 6 * SECOND);
            assert_eq!(breaker.state(), BreakerState::Closed, "two in ten seconds");
        }
        assert_eq!(open().0.state(), BreakerState::Open);
    }

    #[test]
    fn open_admits_nothing_for_its_time_and_then_one_at_a_time() {
        let (mut breaker, now) = open();
        assert_eq!(breaker.admit(now + 29 * SECOND), Admission::None);
        assert_eq!(breaker.admit(now + 30 * SECOND), Admission::One);
        assert_eq!(breaker.admit(now + 30 * SECOND), Admission::One, "until the first is answered");
    }

    #[test]
    fn the_probe_decides_and_its_failure_needs_no_company() {
        let (mut breaker, now) = open();
        let later = now + 30 * SECOND;
        breaker.admit(later);
        breaker.fault(later);
        assert_eq!(breaker.admit(later + 29 * SECOND), Admission::None);
        breaker.admit(later + 30 * SECOND);
        breaker.success();
        assert_eq!(breaker.admit(later + 30 * SECOND), Admission::Any);
        breaker.fault(later + 30 * SECOND);
        assert_eq!(breaker.state(), BreakerState::Closed, "what was before it opened is forgotten");
    }

    #[test]
    fn the_policy_of_rehearsals_never_opens_and_keeps_nothing() {
        let mut breaker = Breaker::new(crate::config::FaultPolicy::NONE.breaker);
        let now = Instant::now();
        (0..10_000).for_each(|fault| breaker.fault(now + fault * Duration::from_millis(1)));
        assert_eq!((breaker.state(), breaker.recent.len()), (BreakerState::Closed, 1));
    }
}
