//! To the device: acks whose outcome is safe, and what its mailbox holds.

use super::*;

impl<R, W> Connection<R, W> {
    pub(super) fn send_acks(&mut self) {
        while let Some(ticket) = self.session.try_next_done() {
            self.acknowledge(ticket);
        }
    }

    pub(super) fn acknowledge(&mut self, ticket: u64) {
        for packet in self.session.acknowledge(ticket) {
            self.wire.send(&packet);
        }
    }

    /// As much as the device's window and its socket take.
    pub(super) fn deliver_mail(&mut self) {
        while self.wants_mail() {
            let Some(delivery) = self.session.next_delivery() else { return };
            let Some(message) = delivery.message.aged(delivery.arrived.elapsed()) else {
                self.context.counters.subscriber_expired.increment();
                self.session.finish(delivery.number);
                continue;
            };
            drop(message);
            let packet = self.session.deliver(delivery);
            if self.wire.codec.size(&packet) > self.peer_maximum_packet_size {
                self.context.counters.subscriber_dropped.increment();
                self.session.abandon(&packet);
                continue;
            }
            self.wire.send(&packet);
        }
    }

    pub(super) fn wants_mail(&self) -> bool {
        self.session.wants_delivery() && !self.wire.is_congested()
    }
}
