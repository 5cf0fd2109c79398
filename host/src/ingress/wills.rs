//! A will is a message of the device that the gateway publishes for it (MQTT 5, section 3.1.2.5): bindings apply to it.
//!
//! It is written when its device connects, so that a gateway that dies publishes it when it runs again; what is written of it goes when
//! it is published, or taken back. Nobody waits for that, and a disk that is full or stands still must not fill the memory with the wills
//! of those who come and go: beyond [`MAX_UNWRITTEN`] a will is not written, and lives and ends with its connection. Nor must wills take the
//! disk from messages: what is written of those who are connected is bounded by [`MAX_KEPT`].

use std::sync::Arc;
use std::time::Duration;

use crate::access::Permit;
use crate::base::clock::unix_ms;
use crate::base::excerpt::brief;
use crate::base::fault::{self, Fault};
use crate::base::held_bytes::{HeldBytes, HeldPart};
use crate::base::ledger::{Charge, Ledger};
use crate::base::rate_limit::RateLimit;
use crate::bindings::{Dispatcher, Inbound};
use crate::bus::Journal;
use crate::ingress::stored::StoredWill;
use crate::message::{Message, Origin};
use crate::mqtt::Will;
use crate::spool::{Change, Key, Receipt, Value};

/// Bytes of wills that wait to be written: those of a thousand devices that connect at once, and have some text to say.
const MAX_UNWRITTEN: usize = 8 << 20;

/// Bytes of written wills whose devices are connected: those of a thousand devices with 16 KiB each.
const MAX_KEPT: usize = 16 << 20;

pub struct Wills {
    dispatcher: Arc<Dispatcher>,
    unwritten: HeldBytes,
    kept: HeldBytes,
    warnings: RateLimit,
}

/// The will of a device that is gone, with what it takes of the account of all clients: while it waits, and then until what becomes of it
/// is in the log.
#[derive(Clone, Debug)]
pub struct LeftWill {
    pub message: Message,
    /// Of its device: the rules are asked when it is due.
    pub permit: Permit,
    charge: Arc<Charge>,
}

impl Wills {
    pub fn new(dispatcher: Arc<Dispatcher>) -> Self {
        let warnings = RateLimit::per_second(1);
        Self { dispatcher, unwritten: HeldBytes::default(), kept: HeldBytes::default(), warnings }
    }

    pub fn journal(&self) -> &Journal {
        self.dispatcher.journal()
    }

    /// Of a device that connects: what is to be written, with the receipt for it, and its place for as long as it is connected. None when there
    /// is too much.
    pub fn kept(
        &self,
        client: &Arc<str>,
        Will { message, delay }: &Will,
        permit: &Permit,
    ) -> Option<(Change, Receipt, HeldPart)> {
        if fault::is_on(Fault::WillsNotWritten) {
            return None;
        }
        let place = self.kept.hold_within(message.weight(), MAX_KEPT);
        let Some((place, receipt)) = place.zip(self.reserve(message)) else {
            if let Some(suppressed) = self.warnings.permit() {
                let detail = "there are too many or they are too large, and it is lost if the gateway dies";
                tracing::warn!(client = ?brief(&client), suppressed, "the will of this client is not written: {detail}");
            }
            return None;
        };
        let delay = Duration::from_secs((*delay).into());
        let stored = StoredWill { due_ms: None, delay, message: message.clone(), identity: permit.stored() };
        Some((Change::put(will_of(client), stored.encode()), receipt, place))
    }

    /// It is due, and was written when its device came. What is written of it takes another name, of this one will alone: the next
    /// session of the client may write a will of its own before the chains of this one are done. To be published when `changes` are
    /// committed, which say so. Until it is through, its client has it waiting, and it is charged.
    pub fn take_over(&self, client: &Arc<str>, will: LeftWill, changes: &mut Vec<Change>) -> Inbound {
        let (will, charge) = (due(client, will.message, &will.permit), will.charge);
        let mut will = self.written_down(client, will, changes);
        let part = self.journal().in_flight().add(client, changes.last().map_or(&[], std::slice::from_ref));
        will.receipt = Receipt::call(move || drop((charge, part)));
        will
    }

    fn written_down(&self, client: &Arc<str>, mut will: Inbound, changes: &mut Vec<Change>) -> Inbound {
        changes.push(Change::delete(will_of(client)));
        changes.push(self.dispatcher.write_down(&mut will));
        will
    }

    /// The same for one that was promised to nobody: where too much waits, it may be lost like any message of its kind.
    pub fn end_with_connection(&self, client: &Arc<str>, will: LeftWill, changes: &mut Vec<Change>) -> Inbound {
        let LeftWill { message, permit, charge } = will;
        match self.reserve(&message) {
            Some(receipt) => {
                let will = self.written_down(client, due(client, message, &permit), changes);
                Inbound { receipt: receipt.after(move || drop(charge)), ..will }
            }
            None => {
                changes.push(Change::delete(will_of(client)));
                due(client, message, &permit)
            }
        }
    }

    pub fn publish(&self, will: Inbound) {
        self.dispatcher.publish_internal(will);
    }

    /// Names that were given before a restart are not given again.
    pub fn restore(&self, state: &[(Key, Value)]) {
        self.dispatcher.restore_numbers(state);
    }

    /// Whether a will of so many bytes would be written now.
    #[cfg(test)]
    pub fn has_room_unwritten(&self, bytes: usize) -> bool {
        self.unwritten.total() + bytes <= MAX_UNWRITTEN
    }

    fn reserve(&self, message: &Message) -> Option<Receipt> {
        let unwritten = self.unwritten.hold_within(message.weight(), MAX_UNWRITTEN)?;
        Some(Receipt::call(move || drop(unwritten)))
    }
}

impl LeftWill {
    /// It was charged with its connection, or before a restart, and is charged on, room or not.
    pub fn new(message: Message, permit: Permit, ledger: &Arc<Ledger>) -> Self {
        let mut charge = ledger.charge();
        charge.restore(message.weight());
        Self { message, permit, charge: Arc::new(charge) }
    }

    /// For the record that has a copy of it.
    pub fn receipt(&self) -> Receipt {
        let charge = self.charge.clone();
        Receipt::call(move || drop(charge))
    }
}

fn due(client: &Arc<str>, message: Message, permit: &Permit) -> Inbound {
    let (principal, source) = (permit.identity().user.clone(), permit.source());
    let origin = Origin { client: client.clone(), arrived_ms: unix_ms(), hops: 0, principal, source, trace: None };
    Inbound::internal(message, Arc::new(origin))
}

/// Of the device that is connected, or of its session that is away.
pub fn will_of(client: &Arc<str>) -> Key {
    Key::Will { client: client.clone() }
}
