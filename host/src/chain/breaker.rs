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
//! **Whose message it was counts as well.** A plugin that fails on what one device sends may be well, and the device not: then
//! each of those messages has failed, and nothing more. Were that enough, six messages of one device would take the plugin from all
//! others. So faults of one device are at most half of those that open it, and open it never alone. What the plugin does by itself, when
//! it is started or called by the clock, has no device and counts in full.
//!
//! Time comes in. There is no timer: an open breaker becomes half-open when the next message asks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::BreakerLimits;
use crate::plugin::BreakerState;

#[derive(Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    state: State,
    /// The recent faults: at most `limits.faults`, and half as many of the last device.
    recent: VecDeque<Recent>,
}

#[derive(Debug)]
struct Recent {
    at: Instant,
    by: Source,
}

/// Whose message a plugin failed on: the device's client identifier, or none where the plugin failed by itself.
pub type Source = Option<Arc<str>>;

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

    pub fn fault(&mut self, by: Source, now: Instant) {
        self.forget(&by, now);
        self.recent.push_back(Recent { at: now, by });
        // A probe stands for all that were before it.
        let enough = if matches!(self.state, State::HalfOpen) { 1 } else { self.limits.faults };
        if self.recent.len() >= enough && self.is_the_plugins() {
            self.recent.clear();
            self.state = State::Open { until: now + self.limits.open_for };
        }
    }

    pub fn is_open(&self, now: Instant) -> bool {
        matches!(self.state, State::Open { until } if now < until)
    }

    /// For so long nobody could be asked: faults before that are as near to those after it as if it had not been.
    pub fn stand_still(&mut self, time: Duration) {
        self.recent.iter_mut().for_each(|fault| fault.at += time);
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

    /// What is too old; and the oldest of a device that has had its share.
    fn forget(&mut self, by: &Source, now: Instant) {
        let old = |fault: &Recent| now.saturating_duration_since(fault.at) > self.limits.within;
        while self.recent.front().is_some_and(old) {
            self.recent.pop_front();
        }
        let mut own =
            (0..).zip(&self.recent).filter(|(_, fault)| by.is_some() && fault.by == *by).map(|(place, _)| place);
        if let (Some(oldest), more) = (own.next(), own.count())
            && more + 1 >= self.limits.faults.div_ceil(2)
        {
            self.recent.remove(oldest);
        }
    }

    /// By itself, or with more than one device.
    fn is_the_plugins(&self) -> bool {
        let mut faults = self.recent.iter();
        let first = faults.next().and_then(|fault| fault.by.as_ref());
        first.is_none() || faults.any(|fault| fault.by.as_ref() != first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker() -> (Breaker, Instant) {
        (Breaker::new(BreakerLimits { faults: 4, within: 10 * SECOND, open_for: 30 * SECOND }), Instant::now())
    }

    fn device(name: &str) -> Source {
        Some(name.into())
    }

    fn open() -> (Breaker, Instant) {
        let (mut breaker, now) = breaker();
        (0..4).for_each(|_| breaker.fault(None, now));
        (breaker, now)
    }

    #[test]
    fn so_many_faults_in_so_much_time_open_it_and_fewer_or_slower_do_not() {
        let (mut breaker, now) = breaker();
        for fault in 0..20 {
            breaker.fault(None, now + fault * 4 * SECOND);
            assert_eq!(breaker.state(), BreakerState::Closed, "three in ten seconds");
        }
        assert_eq!(open().0.state(), BreakerState::Open);
    }

    #[test]
    fn time_without_an_instance_is_none_in_which_faults_grow_old() {
        let (mut breaker, mut now) = breaker();
        for _ in 0..4 {
            assert_eq!(breaker.state(), BreakerState::Closed);
            now += 60 * SECOND;
            breaker.stand_still(60 * SECOND);
            breaker.fault(None, now);
        }
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn one_device_never_opens_it_and_is_half_of_what_does() {
        let (mut breaker, now) = breaker();
        for _ in 0..1_000 {
            breaker.fault(device("bad"), now);
        }
        assert_eq!((breaker.state(), breaker.recent.len()), (BreakerState::Closed, 2));
        breaker.fault(device("other"), now);
        assert_eq!(breaker.state(), BreakerState::Closed, "two of one device and one of another");
        breaker.fault(device("third"), now);
        assert_eq!(breaker.state(), BreakerState::Open, "a plugin that fails for several devices");
    }

    #[test]
    fn a_breaker_of_one_fault_waits_for_a_second_device_too() {
        let (_, now) = breaker();
        let mut breaker = Breaker::new(BreakerLimits { faults: 1, within: 10 * SECOND, open_for: SECOND });
        breaker.fault(device("bad"), now);
        breaker.fault(device("bad"), now);
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.fault(device("other"), now);
        assert_eq!(breaker.state(), BreakerState::Open);
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
        breaker.fault(None, later);
        assert_eq!(breaker.admit(later + 29 * SECOND), Admission::None);
        breaker.admit(later + 30 * SECOND);
        breaker.success();
        assert_eq!(breaker.admit(later + 30 * SECOND), Admission::Any);
        breaker.fault(None, later + 30 * SECOND);
        assert_eq!(breaker.state(), BreakerState::Closed, "what was before it opened is forgotten");
    }

    #[test]
    fn a_device_that_sends_each_probe_does_not_keep_it_open() {
        let (mut breaker, now) = open();
        let later = now + 30 * SECOND;
        for _ in 0..9 {
            assert_eq!(breaker.admit(later), Admission::One);
            breaker.fault(device("bad"), later);
        }
        breaker.fault(device("other"), later);
        assert_eq!(breaker.admit(later), Admission::None, "two devices do");
    }

    #[test]
    fn the_policy_of_rehearsals_never_opens_and_keeps_nothing() {
        let mut breaker = Breaker::new(crate::config::FaultPolicy::NONE.breaker);
        let now = Instant::now();
        (0..10_000).for_each(|fault| breaker.fault(None, now + fault * Duration::from_millis(1)));
        assert_eq!((breaker.state(), breaker.recent.len()), (BreakerState::Closed, 1));
    }
}
