//! What of a session survives a restart, and under which key. A session that ends with its connection writes nothing.

use std::time::Duration;

use super::*;
use crate::base::timeline;
use crate::bus::stored::{self, Queued};
use crate::bus::{Delivery, Generation, Journal, LeftOver};
use crate::ingress::stored::{StoredExchange, StoredSession};
use crate::spool::wire::WireError;
use crate::spool::{Key, Source, Value};

/// What is done when a session ends.
#[derive(Debug, Default)]
pub struct Farewell {
    /// For another member of its group.
    pub from_groups: Vec<Delivery>,
    /// For a member of a group, and sent to this one at QoS 2: for nobody else.
    pub sent: u64,
    /// The session, marked as ended.
    pub ending: Option<Change>,
    /// Deleted at once, or there would be half a session.
    pub session: Vec<Change>,
    /// Deleted in its own time: it names the session that it belongs to, and means nothing without it.
    pub left_over: Vec<Change>,
}

impl Session {
    pub fn is_durable(&self) -> bool {
        self.mailbox.generation().is_some()
    }

    /// The session itself. `ends_at_ms` while its device is away.
    pub fn description(&self, expiry: Duration, ends_at_ms: Option<u64>) -> Option<Change> {
        let window = self.link.peer_receive_maximum;
        let value = StoredSession {
            generation: self.mailbox.generation()?,
            expiry,
            ends_at_ms,
            window,
            identity: self.link.permit.stored(),
        };
        Some(Change::put(Key::Session { client: self.client.clone() }, value.encode()))
    }

    /// Nothing more is taken for it, and everything that was written for it goes; but for its will, which goes when it is
    /// published.
    pub fn farewell(&mut self) -> Farewell {
        let mut left_over = LeftOver::default();
        let sent = self.outbound.end(&mut left_over);
        self.mailbox.close(&mut left_over);
        let LeftOver { numbers, from_groups } = left_over;
        if !self.is_durable() {
            return Farewell { from_groups, sent, ..Farewell::default() };
        }
        let client = || self.client.clone();
        let filters = self.subscriptions.filters();
        let session = std::iter::once(Key::Session { client: client() })
            .chain(filters.map(|filter| Key::Subscription { client: client(), filter }));
        let received = |packet_id| Key::Qos2 { source: Source::Devices, client: client(), packet_id };
        let left_over = (numbers.into_iter())
            .map(|number| Key::Queued { client: client(), number })
            .chain(self.receiver.received().map(received));
        Farewell {
            from_groups,
            sent,
            ending: self.description(Duration::ZERO, Some(timeline::now_ms())),
            session: session.map(Change::delete).collect(),
            left_over: left_over.map(Change::delete).chain(std::mem::take(&mut self.finished)).collect(),
        }
    }

    /// Whether something is kept for the device that it has not got, or of it that it has not finished.
    pub fn owes(&self) -> bool {
        self.mailbox.holding().messages > 0 || !self.outbound.is_empty() || self.receiver.open_qos_2() > 0
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
        self.receiver.restore(packet_id);
    }

    /// By rising numbers. The first ones may have been sent, as many as the device took at once: they are sent again, as what
    /// they may be [MQTT-4.4.0-1]. The others wait in the mailbox.
    pub fn restore_queued(&mut self, number: u64, value: &Value) -> Result<(), WireError> {
        self.mailbox.restore_number(number);
        match stored::decode_queued(number, value)? {
            Queued::Released => self.outbound.restore_released(number),
            Queued::Published(None) => self.finish(Some(number)),
            Queued::Published(Some(delivery)) => {
                let delivery = self.mailbox.charge_restored(delivery);
                if self.outbound.has_room() { self.outbound.restore(delivery) } else { self.mailbox.restore(delivery) }
            }
        }
        Ok(())
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
