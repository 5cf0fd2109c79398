//! Whether what has no ack was read: a server answers packets in the order in which it reads them, so that a PINGRESP says that all
//! before its PINGREQ has arrived.
//!
//! Only for what was acknowledged at QoS 1 or 2 and is lowered to QoS 0 for this server. One PINGREQ is under way at a time, for all that
//! was sent before it; what comes meanwhile waits for the next one. How long an answer may take is `ack_watch`'s to say.
//!
//! That the server has read a message does not say that it keeps it. It says that no connection has swallowed it, and this is all that a
//! server of QoS 0 has to give.

use std::collections::VecDeque;

use super::Session;
use crate::base::kill_point::{self, KillPoint};
use crate::mqtt::client::Outgoing;
use crate::spool::{Fate, Position};

/// Of one connection.
#[derive(Default)]
pub struct Proofs {
    asked: u64,
    answered: u64,
    /// Numbers of messages, and which PINGREQ is the first behind each. Bounded by the window.
    waiting: VecDeque<(u64, u64)>,
}

// === impl Proofs ===

impl Proofs {
    /// A PINGREQ goes out, for whatever reason.
    pub fn asks(&mut self) {
        self.asked += 1;
    }

    /// This message goes out.
    pub fn needs(&mut self, number: u64) {
        self.waiting.push_back((number, self.asked + 1));
    }

    /// Whether a PINGREQ is wanted now.
    pub fn is_due(&self) -> bool {
        self.asked == self.answered && !self.waiting.is_empty()
    }

    /// Whether a PINGRESP is owed.
    pub fn is_asked(&self) -> bool {
        self.asked > self.answered
    }

    /// A PINGRESP has come. One that nobody asked for proves nothing.
    pub fn answer(&mut self) {
        self.answered = self.asked.min(self.answered + 1);
    }

    /// The next message that has arrived.
    pub fn next_proven(&mut self) -> Option<u64> {
        let is_proven = |&mut (_, behind): &mut (u64, u64)| behind <= self.answered;
        self.waiting.pop_front_if(is_proven).map(|(number, _)| number)
    }
}

// === impl Session ===

impl Session<'_> {
    pub(super) fn ping(&mut self) {
        self.write(Outgoing::PingReq);
        self.proofs.asks();
    }

    pub(super) fn ask_for_proof(&mut self) {
        if self.proofs.is_due() {
            self.ping();
        }
    }

    /// A PINGRESP has come.
    pub(super) fn answered(&mut self) {
        self.proofs.answer();
        while let Some(number) = self.proofs.next_proven() {
            kill_point::reach(KillPoint::Proven);
            if self.sender.inflight.passed(number) {
                self.sender.made_progress(number);
                self.sender.isolation.acknowledged(number);
                self.sender.refusals.forget(number);
                self.sender.queue.complete(Position::of(number), Fate::Forwarded);
            }
        }
        self.alone.pong();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proven(proofs: &mut Proofs) -> Vec<u64> {
        proofs.answer();
        std::iter::from_fn(|| proofs.next_proven()).collect()
    }

    #[test]
    fn an_answer_proves_what_was_sent_before_its_question_and_nothing_behind_it() {
        let mut proofs = Proofs::default();
        assert!(!proofs.is_due());
        [1, 2].into_iter().for_each(|number| proofs.needs(number));
        assert!(proofs.is_due());
        proofs.asks();
        proofs.needs(3);
        assert!(!proofs.is_due(), "one question at a time");
        assert_eq!(proven(&mut proofs), [1, 2]);
        assert!(proofs.is_due());
        proofs.asks();
        assert_eq!(proven(&mut proofs), [3]);
        assert!(!proofs.is_due());
    }

    #[test]
    fn the_answer_to_an_earlier_question_proves_nothing_behind_that() {
        let mut proofs = Proofs::default();
        proofs.asks();
        proofs.needs(1);
        assert!(proven(&mut proofs).is_empty());
        assert!(proven(&mut proofs).is_empty(), "nobody has asked for it");
        proofs.asks();
        assert_eq!(proven(&mut proofs), [1]);
    }
}
