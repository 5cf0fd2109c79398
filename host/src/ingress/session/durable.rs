//! What of a session survives a restart, and under which key. A session that ends with its connection writes nothing.

use std::time::Duration;

use super::*;
use crate::bus::stored::{self, Queued};
use crate::bus::{Generation, Journal};
use crate::ingress::stored::{StoredExchange, StoredSession};
use crate::spool::wire::WireError;
use crate::spool::{Key, Source};

/// What is deleted when a session ends.
#[derive(Debug, Default)]
pub struct Farewell {
    /// At once, or there would be half a session.
    pub session: Vec<Change>,
    /// In its own time: it names the session that it belongs to, and means nothing without it.
    pub left_over: Vec<Change>,
}

impl Session {
    pub fn is_durable(&self) -> bool {
        self.mailbox.generation().is_some()
    }

    /// The session itself. `ends_at_ms` while its device is away.
    pub fn description(&self, expiry: Duration, ends_at_ms: Option<u64>) -> Option<Change> {
        let window = self.link.peer_receive_maximum;
        let value = StoredSession { generation: self.mailbox.generation()?, expiry, ends_at_ms, window };
        Some(Change::put(Key::Session { client: self.client.clone() }, value.encode()))
    }

    /// Everything that was written for it, deleted; but for its will, which goes when it is published.
    pub fn farewell(&mut self) -> Farewell {
        if !self.is_durable() {
            return Farewell::default();
        }
        let client = || self.client.clone();
        let filters = self.subscriptions.filters();
        let session = std::iter::once(Key::Session { client: client() })
            .chain(filters.map(|filter| Key::Subscription { client: client(), filter }));
        let queued = self.mailbox.close().into_iter().chain(self.outbound.numbers());
        let left_over = queued.map(|number| Key::Queued { client: client(), number }).chain(
            self.exchanges.received().map(|packet_id| Key::Qos2 {
                source: Source::Devices,
                client: client(),
                packet_id,
            }),
        );
        Farewell {
            session: session.map(Change::delete).collect(),
            left_over: left_over.map(Change::delete).chain(std::mem::take(&mut self.finished)).collect(),
        }
    }

    /// Writes what the device has confirmed: one record for all of it.
    pub fn flush(&mut self, journal: &Journal) {
        if !self.finished.is_empty() {
            journal.change(std::mem::take(&mut self.finished), Receipt::none());
        }
    }

    /// The device has the delivery with this number, or it is not wanted any more.
    pub fn finish(&mut self, number: Option<u64>) {
        self.finished.extend(number.map(|number| Change::delete(self.queued(number))));
    }

    pub fn restore_exchange(&mut self, packet_id: u16) {
        self.exchanges.restore(packet_id);
    }

    /// By rising numbers. The first ones may have been sent, as many as the device took at once: they are sent again, as what
    /// they may be [MQTT-4.4.0-1]. The others wait in the mailbox. False when there is no room for it any more.
    pub fn restore_queued(&mut self, number: u64, value: &[u8]) -> Result<bool, WireError> {
        self.mailbox.restore_number(number);
        match stored::decode_queued(number, value)? {
            Queued::Released => self.outbound.restore_released(number),
            Queued::Published(None) => self.finish(Some(number)),
            Queued::Published(Some(delivery)) => match self.mailbox.charge_restored(delivery) {
                Some(delivery) if self.outbound.has_room() => self.outbound.restore(delivery),
                Some(delivery) => self.mailbox.restore(delivery),
                None => {
                    self.finish(Some(number));
                    return Ok(false);
                }
            },
        }
        Ok(true)
    }

    pub(super) fn identity(&self, packet_id: u16) -> Option<Change> {
        let generation: Generation = self.mailbox.generation()?;
        Some(Change::put(self.exchange(packet_id), StoredExchange { generation }.encode()))
    }

    pub(super) fn released(&self, packet_id: u16) -> Change {
        Change::delete(self.exchange(packet_id))
    }

    pub(super) fn delivered(&self, number: u64) -> Change {
        Change::put(self.queued(number), stored::released())
    }

    fn exchange(&self, packet_id: u16) -> Key {
        Key::Qos2 { source: Source::Devices, client: self.client.clone(), packet_id }
    }

    fn queued(&self, number: u64) -> Key {
        Key::Queued { client: self.client.clone(), number }
    }
}
