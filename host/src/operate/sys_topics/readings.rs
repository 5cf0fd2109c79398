//! The numbers of one look at the gateway.

use crate::ingress::registry::Census;
use crate::metrics::Counters;

#[derive(Clone, Debug, Default)]
pub(super) struct Readings {
    pub census: Census,
    pub expired: u64,
    pub totals: Totals,
}

/// What only grows, and of which there is a load as well.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub messages_received: u64,
    pub messages_sent: u64,
    pub publish_received: u64,
    pub publish_sent: u64,
    pub publish_dropped: u64,
    pub payload_received: u64,
    pub payload_sent: u64,
    pub bytes_received: u64,
    pub bytes_sent: u64,
    pub sockets: u64,
    pub connections: u64,
}

// === impl Readings ===

impl Readings {
    pub fn take(counters: &Counters, census: Census) -> Self {
        let of = &counters.listeners;
        let totals = Totals {
            messages_received: of.sum(|of| of.packets_received.get()),
            messages_sent: of.sum(|of| of.packets_sent.get()),
            publish_received: of.sum(|of| of.publishes_received.get()),
            publish_sent: of.sum(|of| of.publishes_sent.get()),
            publish_dropped: counters.subscriber_dropped.get(),
            payload_received: of.sum(|of| of.payload_bytes_received.get()),
            payload_sent: of.sum(|of| of.payload_bytes_sent.get()),
            bytes_received: of.sum(|of| of.bytes_received.get()),
            bytes_sent: of.sum(|of| of.bytes_sent.get()),
            sockets: of.sum(|of| of.connections_accepted.get()),
            connections: of.sum(|of| of.connects.get()),
        };
        Self { census, expired: counters.sessions_expired.get(), totals }
    }
}
