//! What went through one connection, counted in its task, and added to what its listener counts once in a turn: there many connections count, and a
//! message costs none of them more than another message in the same turn.

use std::sync::Arc;

use crate::metrics::{Counter, ListenerMetrics};
use crate::mqtt::Packet;

pub struct Traffic {
    of: Arc<ListenerMetrics>,
    received: Passed,
    sent: Passed,
}

#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    packets: u64,
    bytes: u64,
    publishes: u64,
    payload_bytes: u64,
}

/// Where it is counted for all, in the order of the fields of [`Passed`].
type Counters<'a> = [&'a Counter; 4];

// === impl Traffic ===

impl Traffic {
    pub fn new(of: Arc<ListenerMetrics>) -> Self {
        Self { of, received: Passed::default(), sent: Passed::default() }
    }

    pub fn connect(&self) {
        self.of.connects.increment();
    }

    pub fn received(&mut self, packet: &Packet, bytes: usize) {
        self.received.add(packet, bytes);
    }

    pub fn sent(&mut self, packet: &Packet, bytes: usize) {
        self.sent.add(packet, bytes);
    }

    pub fn flush(&mut self) {
        let Self { of, received, sent } = self;
        received.flush([&of.packets_received, &of.bytes_received, &of.publishes_received, &of.payload_bytes_received]);
        sent.flush([&of.packets_sent, &of.bytes_sent, &of.publishes_sent, &of.payload_bytes_sent]);
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.flush();
    }
}

// === impl Passed ===

impl Passed {
    fn add(&mut self, packet: &Packet, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
        if let Packet::Publish(publish) = packet {
            self.publishes += 1;
            self.payload_bytes += publish.payload.len() as u64;
        }
    }

    fn flush(&mut self, [packets, bytes, publishes, payload_bytes]: Counters<'_>) {
        if self.packets == 0 {
            return;
        }
        packets.add(self.packets);
        bytes.add(self.bytes);
        if self.publishes > 0 {
            publishes.add(self.publishes);
            payload_bytes.add(self.payload_bytes);
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_is_counted_once_and_with_the_end_of_the_connection_at_last() {
        let metrics = Arc::<ListenerMetrics>::default();
        let mut traffic = Traffic::new(metrics.clone());
        traffic.received(&Packet::PingReq, 2);
        traffic.sent(&Packet::PingResp, 2);
        assert_eq!(metrics.packets_received.get(), 0);
        traffic.flush();
        traffic.flush();
        assert_eq!((metrics.packets_received.get(), metrics.bytes_received.get()), (1, 2));
        traffic.received(&Packet::PingReq, 2);
        drop(traffic);
        let seen = [&metrics.packets_received, &metrics.bytes_received, &metrics.packets_sent, &metrics.publishes_sent];
        assert_eq!(seen.map(Counter::get), [2, 4, 1, 0]);
    }
}
