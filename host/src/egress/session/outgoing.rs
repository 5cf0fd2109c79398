//! From the spool into the outbox.

use tokio::time::Instant;

use super::Session;
use crate::base::kill_point::{self, KillPoint};
use crate::message::{Message, QoS};
use crate::mqtt::client::{self, EncodeError, Outgoing, Publish};
use crate::spool::{Entry, Fate, Position};

/// Entries taken from the spool at once: enough for one write, few enough not to hold its mutex long.
const BATCH: usize = 256;

impl Session<'_> {
    /// Puts everything that may go now into the outbox.
    pub(super) fn fill(&mut self) {
        self.retry_refused();
        if self.sender.isolation.is_alone() {
            self.fill_alone();
        }
        if self.sender.isolation.is_alone() {
            return;
        }
        while self.out.room() > 0
            && let Some(publish) = self.sender.inflight.next_resend()
        {
            self.publish_again(publish);
        }
        while self.is_hungry() {
            let most = self.sender.inflight.room().min(BATCH);
            let entries = self.sender.queue.read(self.cursor, most, self.out.room());
            if entries.is_empty() {
                return;
            }
            kill_point::reach(KillPoint::Picked);
            for entry in entries {
                let position = entry.position;
                if !self.offer(entry) {
                    return;
                }
                self.cursor = position;
            }
        }
    }

    /// `false` when it has to be offered again later.
    pub(super) fn offer(&mut self, entry: Entry) -> bool {
        let number = entry.position.number;
        if entry.message.qos == QoS::AtMostOnce && entry.position.turn > 0 {
            self.send(entry, None);
            return true;
        }
        // Before its age is looked at: expiry no longer applies to what was sent [MQTT-4.3.3-7].
        if self.sender.inflight.contains(number) {
            return true;
        }
        let admitted = self.sender.inflight.admits(number);
        if admitted {
            self.send(entry, Some(number));
        }
        admitted
    }

    /// `number` when the spool keeps it; it may be QoS 0 all the same, by configuration or because the server takes no more.
    pub(super) fn send(&mut self, entry: Entry, number: Option<u64>) {
        // Tokio's clock, so that a test can stop it.
        let held = Instant::now().into_std().saturating_duration_since(entry.arrived);
        let Some(message) = entry.message.aged(held).filter(|_| self.sender.queue.is_fresh(held)) else {
            number.into_iter().for_each(|number| self.sender.inflight.leave_out(number));
            return self.sender.queue.complete(entry.position, Fate::Expired);
        };
        let message = self.terms.fit(message);
        if let Some(number) = number.filter(|_| message.qos > QoS::AtMostOnce) {
            let begun = self.sender.inflight.publish(number, message);
            // At once: a connection that ends right after it must not forget it.
            self.sender.counters.possible_duplicates.add(self.sender.inflight.take_doubtful());
            return begun.into_iter().for_each(|publish| self.publish(&publish));
        }
        let publish = Publish { packet_id: 0, dup: false, message };
        match self.encode(Outgoing::Publish(&publish)) {
            Ok(()) => {
                number.into_iter().for_each(|_| self.sender.inflight.pass());
                self.out.mark_end(entry.position);
            }
            Err(error) => self.give_up(entry.position, &publish.message, &error),
        }
    }

    /// By the terms of this connection: a PUBACK must be enough for one whose server gives no other.
    pub(super) fn publish_again(&mut self, publish: Publish) {
        self.publish(&Publish { message: self.terms.fit(publish.message), ..publish });
    }

    /// A QoS 1 or 2 PUBLISH, first or repeated.
    fn publish(&mut self, publish: &Publish) {
        kill_point::expect(KillPoint::Published);
        if let Err(error) = self.encode(Outgoing::Publish(publish))
            && let Some(number) = self.sender.inflight.abandon(publish.packet_id)
        {
            self.give_up(Position::of(number), &publish.message, &error);
        }
    }

    fn give_up(&mut self, position: Position, message: &Message, error: &EncodeError) {
        self.sender.queue.complete(position, Fate::Oversize);
        if let Some(silent) = self.sender.oversize.permit() {
            let (upstream, topic) = (&self.sender.upstream, &message.topic);
            tracing::warn!(upstream, ?topic, silent, "this message can never be sent: {error}");
        }
    }

    fn encode(&mut self, packet: Outgoing<'_>) -> Result<(), EncodeError> {
        client::encode(self.terms.protocol, packet, self.terms.maximum_packet_size, &mut self.out.bytes)
    }

    /// Whether more may be taken from the spool now.
    pub(super) fn is_hungry(&self) -> bool {
        self.out.room() > 0 && self.sender.inflight.room() > 0 && !self.is_going_back()
    }
}
