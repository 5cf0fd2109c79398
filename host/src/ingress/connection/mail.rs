//! To the device: acks whose outcome is safe, what an earlier connection left unfinished, and what its mailbox holds.

use super::*;
use crate::base::clock;
use crate::base::excerpt::brief;
use crate::bus::Delivery;

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
    pub(super) fn deliver_mail(&mut self) {
        while !self.wire.is_congested()
            && let Some(packet) = self.session.next_resend()
        {
            self.deliver(&packet);
        }
        match self.session.take_expired() {
            // As usual.
            0 => {}
            expired => self.context.bus.counters().subscriber_expired.add(expired),
        }
        while self.wants_mail() {
            let Some(delivery) = self.session.next_delivery() else { return };
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
