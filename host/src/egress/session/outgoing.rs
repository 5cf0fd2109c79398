//! From the spool into the outbox.

use tokio::time::Instant;

use super::Session;
use crate::base::excerpt::Excerpt;
use crate::base::fault::{self, Fault};
use crate::base::kill_point::{self, KillPoint};
use crate::message::{Message, QoS};
use crate::mqtt::client::{self, EncodeError, Outgoing, Publish};
use crate::mqtt::sender::{Passing, Repeat};
use crate::spool::{Entry, Fate, Position};

/// Entries taken from the spool at once: enough for one write, few enough not to hold its mutex long.
const BATCH: usize = 256;

impl Session<'_> {
    /// Puts everything that may go now into the outbox.
    pub(super) fn fill(&mut self) {
        self.fill_all();
        self.ask_for_proof();
    }

    fn fill_all(&mut self) {
        self.retry_refused();
        if self.sender.isolation.is_alone() {
            self.fill_alone();
        }
        if self.sender.isolation.is_alone() {
            return self.pass_qos0();
        }
        self.release_withheld();
        while self.out.room() > 0
            && let Some(number) = self.sender.inflight.next_waiting()
        {
            self.resend(number);
        }
        self.pass_qos0();
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
                if self.is_going_back() {
                    return;
                }
            }
        }
    }

    /// Messages go together again.
    fn release_withheld(&mut self) {
        while let Some(number) = self.sender.inflight.withheld().next() {
            self.release(number);
        }
    }

    /// A server that acknowledges nothing keeps the window full for ever. It takes QoS 0 all the same, which does not have to wait
    /// for it then: it overtakes what is not sent yet, of its own topic, too.
    fn pass_qos0(&mut self) {
        while self.lets_qos0_pass() {
            let entries = self.sender.queue.read_qos0(self.passed, BATCH);
            if entries.is_empty() {
                return;
            }
            for entry in entries {
                if self.out.room() == 0 {
                    return;
                }
                self.passed = entry.position.sequence;
                self.send(entry, None);
            }
        }
    }

    /// Whether QoS 0 may be taken from the spool past what is held.
    pub(super) fn lets_qos0_pass(&self) -> bool {
        let is_held = self.sender.isolation.is_alone() || self.sender.inflight.room() == 0;
        self.sender.acks.stalled && is_held && self.out.room() > 0 && !self.is_going_back()
    }

    /// `false` when it has to be offered again later.
    pub(super) fn offer(&mut self, entry: Entry) -> bool {
        let number = entry.position.number;
        if entry.message.qos == QoS::AtMostOnce && entry.position.sequence > 0 {
            if entry.position.sequence > self.passed {
                self.passed = entry.position.sequence;
                self.send(entry, None);
            }
            return true;
        }
        // Before its age is looked at: expiry no longer applies to what was sent [MQTT-4.3.3-7].
        if self.sender.inflight.contains(number) {
            return true;
        }
        let admitted = self.sender.inflight.admit(number);
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
        let asked = message.qos;
        let message = self.terms.fit(message);
        if let Some(number) = number.filter(|_| message.qos > QoS::AtMostOnce) {
            let begun = self.sender.inflight.publish(number, message);
            // Sent by an earlier process, in this session and at QoS 2.
            let is_lowered = |publish: &Publish| publish.dup && publish.message.qos < QoS::ExactlyOnce;
            let lowered = u64::from(asked == QoS::ExactlyOnce && begun.as_ref().is_some_and(is_lowered));
            // At once: a connection that ends right after it must not forget it.
            self.sender.metrics.possible_duplicates.add(self.sender.inflight.take_doubtful() + lowered);
            return begun.into_iter().for_each(|publish| self.publish(&publish));
        }
        let passing = match asked {
            QoS::AtMostOnce => Passing::Written,
            asked => Passing::Answered { was_exactly_once: asked == QoS::ExactlyOnce },
        };
        self.pass(entry.position, passing, &Publish { packet_id: 0, dup: false, message });
    }

    /// At QoS 0.
    fn pass(&mut self, position: Position, passing: Passing, publish: &Publish) {
        match self.encode(Outgoing::Publish(publish)) {
            Ok(()) => {
                // With a sequence, it is in memory only: nothing in the spool waits for its end.
                if position.sequence == 0 {
                    self.sender.inflight.pass(position.number, passing);
                    // At once: a connection that ends right after it must not forget it.
                    self.sender.metrics.possible_duplicates.add(self.sender.inflight.take_doubtful());
                }
                match passing {
                    Passing::Written => self.out.mark_end(position),
                    Passing::Answered { .. } => {
                        kill_point::expect(KillPoint::Published);
                        self.proofs.needs(position.number);
                    }
                }
            }
            Err(error) => {
                if position.sequence == 0 {
                    // Over without being sent; it keeps its place until its letter is durable.
                    self.sender.inflight.leave_out(position.number);
                    if self.holds_back(position.number, &publish.message, &error) {
                        return;
                    }
                }
                self.give_up(position, &publish.message, &error);
            }
        }
    }

    /// What waits to be sent again, with what is left of its expiry interval (section 3.3.2.3.3). `false` when it has expired, and is over.
    pub(super) fn resend(&mut self, number: u64) -> bool {
        let now = Instant::now().into_std();
        let entry = self.sender.queue.entry(number).filter(|entry| entry.message.expiry().is_some());
        let aged = entry.map(|entry| entry.message.aged_again(now.saturating_duration_since(entry.arrived)));
        if let Some(None) = aged
            && self.sender.inflight.forsake(number)
        {
            self.sender.refusals.forget(number);
            self.sender.isolation.forget(number);
            self.sender.queue.complete(Position::of(number), Fate::Expired);
            return false;
        }
        let left = aged.flatten().and_then(|message| message.expiry());
        let fit = |sent: Message| self.terms.fit(left.map_or(sent.clone(), |left| sent.with_expiry(left)));
        let repeat = self.sender.inflight.repeat(number, fit);
        repeat.into_iter().for_each(|repeat| self.publish_again(&repeat));
        true
    }

    fn publish_again(&mut self, repeat: &Repeat) {
        self.sender.metrics.possible_duplicates.add(self.sender.inflight.take_doubtful());
        match repeat.publish.message.qos {
            // What it was has been counted.
            QoS::AtMostOnce => {
                let passing = Passing::Answered { was_exactly_once: false };
                self.pass(Position::of(repeat.number), passing, &repeat.publish);
            }
            _ => self.publish(&repeat.publish),
        }
    }

    /// A QoS 1 or 2 PUBLISH, first or repeated.
    fn publish(&mut self, publish: &Publish) {
        kill_point::expect(KillPoint::Published);
        if let Err(error) = self.encode(Outgoing::Publish(publish))
            && let Some((number, _)) = self.sender.inflight.abandon(publish.packet_id)
            && !self.holds_back(number, &publish.message, &error)
        {
            self.give_up(Position::of(number), &publish.message, &error);
        }
    }

    /// Too large for this server, or for the protocol. What the spool keeps may be acknowledged: it becomes a dead letter.
    fn give_up(&mut self, position: Position, message: &Message, error: &EncodeError) {
        match position.sequence {
            0 if fault::is_on(Fault::AnyPacketSizeTaken) => self.sender.queue.complete(position, Fate::NeverSendable),
            0 => self.sender.dead_letter(position.number, format!("the upstream cannot be sent it: {error}"), 0),
            _ => self.sender.queue.complete(position, Fate::Oversize),
        }
        if let Some(silent) = self.sender.oversize.permit() {
            let (upstream, topic) = (&self.sender.upstream, Excerpt(message.topic.as_str()));
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
