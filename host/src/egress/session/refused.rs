//! Messages that the upstream does not take: tried again, kept as dead letters, or dropped.

use std::time::{Duration, Instant as StdInstant};

use tokio::time::Instant;

use super::{Sender, Session};
use crate::base::clock;
use crate::base::fault::{self, Fault};
use crate::base::kill_point::{self, KillPoint};
use crate::egress::refusals::Verdict;
use crate::egress::undelivered::Undelivered;
use crate::mqtt::Reason;
use crate::spool::{Entry, Fate, Position};

/// An archive takes milliseconds, and a stop has seconds.
const LAST_LETTERS: Duration = Duration::from_secs(1);

impl Sender {
    /// The server has ended this exchange by a failure reason.
    pub(super) fn refused(&mut self, number: u64, reason: Reason) {
        let mut verdict = self.refusals.judge(number, reason, Instant::now());
        if fault::is_on(Fault::RefusedGone) {
            verdict = Verdict::Drop;
        }
        let what = match verdict {
            Verdict::Retry { .. } => "it is tried again",
            Verdict::DeadLetter { .. } => "it is kept as a dead letter",
            Verdict::Drop => "it is dropped",
        };
        if let Some(silent) = self.refused.permit() {
            let topic = self.queue.entry(number).map(|entry| entry.message.topic);
            tracing::warn!(
                upstream = self.upstream,
                topic = ?Self::shown(&topic),
                silent,
                "the upstream refused a message: {reason}; {what}"
            );
        }
        match verdict {
            Verdict::Retry { .. } => self.inflight.postpone(number),
            Verdict::DeadLetter { attempts } => {
                self.dead_letter(number, format!("refused by the upstream: {reason}"), attempts)
            }
            Verdict::Drop => self.queue.complete(Position::of(number), Fate::Refused),
        }
    }

    /// Its exchange is over, and it leaves the spool when its letter is durable.
    pub(super) fn dead_letter(&mut self, number: u64, reason: String, attempts: u32) {
        let Some(Entry { position, binding, message, arrived }) = self.queue.entry(number) else {
            // Completed meanwhile.
            return;
        };
        let (upstream, arrived_ms) = (self.upstream.clone(), unix_ms(arrived));
        self.filing.add(position, Undelivered { upstream, binding, message, reason, attempts, arrived_ms });
    }

    /// These letters are durable, or never will be.
    pub fn filed(&mut self, over: Vec<(Position, Fate)>) {
        kill_point::reach(KillPoint::LetterFiled);
        over.into_iter().for_each(|(position, fate)| self.queue.complete(position, fate));
    }
}

impl Sender {
    /// At a stop: what was refused and is a dead letter already leaves the spool, or it would be sent once more by the next process.
    pub async fn finish_filing(&mut self) {
        let finish = async {
            while !self.filing.is_over() {
                let over = self.filing.kept().await;
                self.filed(over);
            }
        };
        // What is left is in the spool, as after a crash.
        let _ = tokio::time::timeout(LAST_LETTERS, finish).await;
    }
}

impl Session<'_> {
    /// What was refused and is to be sent again now, as it is now.
    pub(super) fn retry_refused(&mut self) {
        for number in self.sender.refusals.take_due(Instant::now()) {
            let Some(entry) = self.sender.queue.entry(number) else { continue };
            let held = Instant::now().into_std().saturating_duration_since(entry.arrived);
            match entry.message.aged(held).filter(|_| self.sender.queue.is_fresh(held)) {
                Some(message) => self.sender.inflight.again(number, self.terms.fit(message)),
                None if self.sender.inflight.give_up(number) => {
                    self.sender.refusals.forget(number);
                    self.sender.queue.complete(entry.position, Fate::Expired);
                }
                None => {}
            }
        }
    }
}

fn unix_ms(arrived: StdInstant) -> u64 {
    let held = u64::try_from(arrived.elapsed().as_millis()).unwrap_or(u64::MAX);
    clock::unix_ms().saturating_sub(held)
}
