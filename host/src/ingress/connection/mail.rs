//! To the device: acks whose outcome is safe, what an earlier connection left unfinished, and what its mailbox holds.

use super::*;
use crate::base::clock;
use crate::base::excerpt::brief;
use crate::bus::Delivery;
use crate::ingress::session::KeptBack;

impl<R, W> Connection<R, W> {
    pub(super) fn send_acks(&mut self) -> Result<(), End> {
        while let Some(ticket) = self.session.try_next_done() {
            self.acknowledge(ticket)?;
        }
        Ok(())
    }

    pub(super) fn acknowledge(&mut self, ticket: u64) -> Result<(), End> {
        for packet in self.session.acknowledge(ticket).map_err(End::Because)? {
            self.wire.send(&packet);
        }
        for packet_id in self.session.take_releases() {
            self.session.release(packet_id).map_or(Ok(()), |action| self.carry_out(action))?;
        }
        Ok(())
    }

    /// As much as the device's window and its socket take; the old before the new.
    pub(super) fn deliver_mail(&mut self) -> Result<(), End> {
        while !self.wire.is_congested()
            && let Some(packet) = self.session.next_resend()
        {
            self.deliver(&packet);
        }
        for kept_back in self.session.take_kept_back() {
            self.keep_back(kept_back)?;
        }
        match self.session.take_expired() {
            // As usual.
            0 => {}
            expired => self.context.bus.counters().subscriber_expired.add(expired),
        }
        while self.wants_mail() {
            let Some(delivery) = self.session.next_delivery() else { return Ok(()) };
            if !self.session.may_receive(&delivery.message.topic) {
                self.withhold(&delivery);
                continue;
            }
            if delivery.message.aged(clock::since(delivery.arrived)).is_none() {
                self.context.bus.counters().subscriber_expired.increment();
                self.session.finish(delivery.number);
                continue;
            }
            if self.session.is_given_up(&delivery) {
                self.skip_given_up(&delivery);
                continue;
            }
            let packet = self.session.deliver(delivery);
            self.deliver(&packet);
        }
        Ok(())
    }

    fn keep_back(&mut self, kept_back: KeptBack) -> Result<(), End> {
        match kept_back {
            KeptBack::Delivery(delivery) => self.withhold(&delivery),
            KeptBack::Release(action) => {
                self.context.bus.counters().subscriber_denied.increment();
                self.carry_out(action)?;
            }
        }
        Ok(())
    }

    /// The access rules keep it from this subscriber; in a group another one may have it.
    fn withhold(&mut self, delivery: &Delivery) {
        self.context.bus.counters().subscriber_denied.increment();
        match delivery.from_group {
            Some(_) => self.context.dispatcher.journal().reassign(delivery, self.session.client()),
            None => self.session.finish(delivery.number),
        }
    }

    /// The next few retained messages that the device has asked for.
    pub(super) fn replay(&mut self) {
        let (pending_deliveries, progress) = self.session.replay(&self.context.bus);
        self.context.dispatcher.journal().deliver(pending_deliveries, progress);
    }

    fn skip_given_up(&mut self, delivery: &Delivery) {
        self.context.bus.counters().subscriber_given_up.increment();
        if let Some(suppressed) = self.context.complaints.permit() {
            let (client, topic) = (self.session.client(), &delivery.message.topic);
            tracing::warn!(
                client = ?brief(&client),
                ?topic,
                suppressed,
                "not sent again: the device has closed its connections on this message"
            );
        }
        self.session.finish(delivery.number);
    }

    pub(super) fn wants_mail(&self) -> bool {
        self.session.wants_delivery() && !self.wire.is_congested()
    }

    /// What the device could not take counts as delivered [MQTT-3.1.2-25].
    fn deliver(&mut self, packet: &Packet) {
        if self.wire.codec.size(packet) > self.peer_maximum_packet_size {
            self.context.bus.counters().subscriber_dropped.increment();
            return self.session.abandon(packet);
        }
        self.wire.send(packet);
    }
}
