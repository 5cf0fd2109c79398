//! What the end of a connection says about the message that was out.

use tokio::time::Instant;

use super::Sender;
use crate::egress::isolation::{Guilty, Out};
use crate::egress::link_error::{Blame, LinkError};
use crate::mqtt::sender::{AckKind, Awaited, packet_id};
use crate::spool::{Entry, Fate, Position};

impl Sender {
    /// Whether a message was found on which the server ends the connection, so that the next one may fare better.
    pub fn ended(&mut self, error: &LinkError) -> bool {
        let Some(awaited) = self.inflight.oldest_awaited() else { return false };
        let was_alone = self.isolation.is_alone();
        let (is_release, newest) = (awaited.ack == AckKind::PubComp, self.inflight.newest());
        let (out, now) = (Out { number: awaited.number, is_release, newest }, Instant::now());
        let guilty = match error.blame() {
            Blame::Nobody => None,
            Blame::Message => self.isolation.cut(out, self.is_lone(awaited.number), now),
            Blame::Ack => self.isolation.late(out, self.acks.progress, now),
        };
        if self.isolation.is_alone() && !was_alone {
            let topic = self.topic(awaited.number);
            tracing::warn!(
                upstream = self.upstream,
                topic = ?Self::shown(&topic),
                packet_id = awaited.packet_id,
                "the connection ends again with this message unacknowledged; messages are sent one by one to find out on which it ends"
            );
        }
        guilty.inspect(|guilty| self.convict(awaited, *guilty, error)).is_some()
    }

    /// Whether no other message waits on which connections have not ended, too.
    fn is_lone(&self, number: u64) -> bool {
        self.queue.find(1, |other| other != number && !self.isolation.is_accused(other)).is_empty()
    }

    fn convict(&mut self, awaited: Awaited, Guilty { number, attempts }: Guilty, error: &LinkError) {
        let packet_id = packet_id(number);
        let entry = self.queue.entry(number);
        let (upstream, topic) = (&self.upstream, entry.map(|entry| entry.message.topic));
        if !self.inflight.forsake(number) {
            return;
        }
        self.refusals.forget(number);
        if awaited.ack == AckKind::PubComp {
            tracing::warn!(
                upstream,
                topic = ?Self::shown(&topic),
                number,
                packet_id,
                attempts,
                "the upstream has received this message and does not complete it; it is kept as a dead letter: {error}"
            );
            let reason = format!(
                "the upstream has received it (PUBREC) and does not complete it, so that it may be there: {error}"
            );
            return self.dead_letter(number, reason, attempts);
        }
        tracing::warn!(
            upstream,
            topic = ?Self::shown(&topic),
            number,
            packet_id,
            attempts,
            "the upstream takes others and not this message, which is kept as a dead letter: {error}"
        );
        self.dead_letter(number, format!("the upstream does not take it: {error}"), attempts);
    }

    /// Whether a suspect has become too old for the spool. It is gone then.
    pub(super) fn expire_suspect(&mut self, number: u64) -> bool {
        if !self.isolation.is_suspect(number) {
            return false;
        }
        let held = |entry: &Entry| Instant::now().into_std().saturating_duration_since(entry.arrived);
        let is_old = self.queue.entry(number).is_some_and(|entry| !self.queue.is_fresh(held(&entry)));
        if !is_old || !self.inflight.forsake(number) {
            return false;
        }
        self.isolation.forget(number);
        self.queue.complete(Position::of(number), Fate::Expired);
        true
    }
}
