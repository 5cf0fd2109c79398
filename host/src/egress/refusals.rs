//! What becomes of a message that the upstream refused by an ack (MQTT 5, sections 3.4.2.1 and 3.5.2.1). Pure: time comes in.
//!
//! A refusal ends the exchange. Whether it ends the message is a question of the reason: what the upstream cannot take now it may take
//! in a minute (quota, a fault of its own); what it does not want it will not want then. So by default the first kind is tried again a
//! few times, [`ATTEMPTS`] within half a minute, as a new exchange, and what is left after that is a dead letter like the second kind.
//!
//! Meanwhile others go on, or one topic that is refused would hold up all others. What is tried again may therefore arrive behind
//! newer messages of its topic.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Refused;
use crate::mqtt::Reason;

/// With waits of 1, 2, 4, 8 and 16 s between them.
pub const ATTEMPTS: u32 = 6;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Of the policy `retry`, which has no last attempt.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Bounded by the window: each keeps its place there.
pub struct Refusals {
    policy: Refused,
    of: BTreeMap<u64, Refusal>,
    next_due: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Refusal {
    attempts: u32,
    due: Option<Instant>,
}

/// What to do with a message, and after how many attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Retry { attempts: u32 },
    DeadLetter { attempts: u32 },
    Drop,
}

// === impl Refusals ===

impl Refusals {
    pub fn new(policy: Refused) -> Self {
        Self { policy, of: BTreeMap::new(), next_due: None }
    }

    pub fn judge(&mut self, number: u64, reason: Reason, now: Instant) -> Verdict {
        let refusal = self.of.entry(number).or_insert(Refusal { attempts: 0, due: None });
        refusal.attempts += 1;
        let attempts = refusal.attempts;
        let again = match self.policy {
            Refused::Drop => false,
            Refused::Retry => true,
            Refused::DeadLetter => is_transient(reason) && attempts < ATTEMPTS,
        };
        if again {
            let due = now + wait(attempts);
            refusal.due = Some(due);
            self.next_due = Some(self.next_due.map_or(due, |next| next.min(due)));
            return Verdict::Retry { attempts };
        }
        self.of.remove(&number);
        if self.policy == Refused::Drop { Verdict::Drop } else { Verdict::DeadLetter { attempts } }
    }

    pub fn next_due(&self) -> Option<Instant> {
        self.next_due
    }

    /// Those that are to be sent again now, in their order.
    pub fn take_due(&mut self, now: Instant) -> Vec<u64> {
        if self.next_due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (number, refusal) in &mut self.of {
            if refusal.due.is_some_and(|at| at <= now) {
                refusal.due = None;
                due.push(*number);
            }
        }
        self.next_due = self.of.values().filter_map(|refusal| refusal.due).min();
        due
    }

    /// It has met its fate.
    pub fn forget(&mut self, number: u64) {
        if !self.of.is_empty() {
            self.of.remove(&number);
        }
    }

    /// How often it was refused.
    pub fn attempts(&self, number: u64) -> u32 {
        self.of.get(&number).map_or(0, |refusal| refusal.attempts)
    }
}

/// Quota and implementation specific errors pass at clouds that limit a rate; an unspecified error may be anything.
fn is_transient(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UNSPECIFIED_ERROR
            | Reason::IMPLEMENTATION_SPECIFIC_ERROR
            | Reason::SERVER_UNAVAILABLE
            | Reason::SERVER_BUSY
            | Reason::RECEIVE_MAXIMUM_EXCEEDED
            | Reason::MESSAGE_RATE_TOO_HIGH
            | Reason::QUOTA_EXCEEDED
            | Reason::PACKET_IDENTIFIER_IN_USE
    )
}

fn wait(attempts: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(policy: Refused, reason: Reason, times: usize) -> Vec<Verdict> {
        let mut refusals = Refusals::new(policy);
        (0..times).map(|_| refusals.judge(1, reason, Instant::now())).collect()
    }

    #[test]
    fn what_the_upstream_does_not_want_is_a_dead_letter_at_once() {
        for reason in [Reason::NOT_AUTHORIZED, Reason::TOPIC_NAME_INVALID, Reason::PACKET_TOO_LARGE, Reason(0xF3)] {
            assert_eq!(verdicts(Refused::DeadLetter, reason, 1), [Verdict::DeadLetter { attempts: 1 }]);
        }
    }

    #[test]
    fn what_it_cannot_take_now_is_tried_again_and_then_a_dead_letter() {
        for reason in [Reason::QUOTA_EXCEEDED, Reason::IMPLEMENTATION_SPECIFIC_ERROR, Reason::UNSPECIFIED_ERROR] {
            let verdicts = verdicts(Refused::DeadLetter, reason, ATTEMPTS as usize);
            let (last, others) = verdicts.split_last().unwrap();
            assert!(others.iter().all(|verdict| matches!(verdict, Verdict::Retry { .. })));
            assert_eq!(*last, Verdict::DeadLetter { attempts: ATTEMPTS });
        }
    }

    #[test]
    fn the_other_policies_drop_all_or_try_all_again() {
        assert_eq!(verdicts(Refused::Drop, Reason::QUOTA_EXCEEDED, 1), [Verdict::Drop]);
        let again = verdicts(Refused::Retry, Reason::NOT_AUTHORIZED, 100);
        assert!(again.iter().all(|verdict| matches!(verdict, Verdict::Retry { .. })));
    }

    #[test]
    fn waits_double_and_what_is_due_is_given_once() {
        let mut refusals = Refusals::new(Refused::Retry);
        let now = Instant::now();
        refusals.judge(2, Reason::QUOTA_EXCEEDED, now);
        refusals.judge(1, Reason::QUOTA_EXCEEDED, now);
        assert!(refusals.take_due(now).is_empty());
        let due = refusals.next_due().unwrap();
        assert_eq!((due - now, refusals.take_due(due)), (FIRST_WAIT, vec![1, 2]));
        assert_eq!((refusals.next_due(), refusals.take_due(due)), (None, vec![]));
        refusals.judge(1, Reason::QUOTA_EXCEEDED, due);
        assert_eq!(refusals.next_due(), Some(due + 2 * FIRST_WAIT));
        assert_eq!(wait(100), LONGEST_WAIT);
    }
}
