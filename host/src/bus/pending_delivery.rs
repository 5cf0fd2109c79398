//! A delivery on its way into the mailbox of a session that survives a restart: its place is taken at once, but the device
//! gets it when it is safe.
//!
//! Not before, because its packet identifier follows from its number. Sent earlier and lost in a crash, the same identifier
//! would stand for another message, and a device that had the first at QoS 2 would take the second for a repetition.

use std::sync::Arc;

use super::mailbox::Kind;
use super::{Delivery, Mailbox, stored};
use crate::spool::{Change, Key};

/// Dropped, it gives its place back.
#[derive(Debug)]
pub struct PendingDelivery {
    mailbox: Arc<Mailbox>,
    /// Taken by `release`.
    delivery: Option<Delivery>,
    kind: Kind,
}

impl PendingDelivery {
    /// The place must have been taken.
    pub(super) fn new(mailbox: Arc<Mailbox>, delivery: Delivery, kind: Kind) -> Self {
        Self { mailbox, delivery: Some(delivery), kind }
    }

    /// Gives it its number: what is to be written. `None` when the session has ended.
    pub(super) fn seal(&mut self) -> Option<Change> {
        let delivery = self.delivery.as_mut()?;
        let number = self.mailbox.next_number(delivery)?;
        delivery.number = Some(number);
        let key = Key::Queued { client: self.mailbox.client().clone(), number };
        Some(Change::put(key, stored::encode_published(delivery)))
    }

    /// What is for a group, and for a member whose session has ended before it had a number.
    pub(super) fn orphan(&mut self) -> Option<Delivery> {
        let is_orphan = |delivery: &mut Delivery| delivery.number.is_none() && delivery.from_group.is_some();
        let delivery = self.delivery.take_if(is_orphan)?;
        self.mailbox.vacate(self.kind, None);
        Some(delivery)
    }

    /// It is safe.
    pub(super) fn release(mut self) {
        if let Some(delivery) = self.delivery.take_if(|delivery| delivery.number.is_some()) {
            self.mailbox.fill(self.kind, delivery);
        }
    }
}

impl Drop for PendingDelivery {
    fn drop(&mut self) {
        if let Some(delivery) = self.delivery.take() {
            self.mailbox.vacate(self.kind, delivery.number);
        }
    }
}
