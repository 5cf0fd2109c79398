//! A will is a message of the device that the gateway publishes for it (MQTT 5, section 3.1.2.5): bindings apply to it.

use std::sync::Arc;

use crate::base::clock::unix_ms;
use crate::bindings::{Dispatcher, Inbound};
use crate::bus::Journal;
use crate::message::{Message, Origin};
use crate::spool::{Change, Key, Value};

pub struct Wills {
    dispatcher: Arc<Dispatcher>,
}

impl Wills {
    pub fn new(dispatcher: Arc<Dispatcher>) -> Self {
        Self { dispatcher }
    }

    pub fn journal(&self) -> &Journal {
        self.dispatcher.journal()
    }

    /// One of which nothing is written.
    pub fn due(client: &Arc<str>, message: Message) -> Inbound {
        let origin = Origin { client: client.clone(), arrived_ms: unix_ms(), hops: 0, principal: None };
        Inbound::internal(message, Arc::new(origin))
    }

    /// It is due, and was written when its device left. What is written of it takes another name, of this one will alone: the next
    /// session of the client may write a will of its own before the chains of this one are done. To be published when `changes` are
    /// committed, which say so.
    pub fn take_over(&self, client: &Arc<str>, message: Message, changes: &mut Vec<Change>) -> Inbound {
        let mut will = Self::due(client, message);
        changes.push(Change::delete(will_of(client)));
        changes.push(self.dispatcher.write_down(&mut will));
        will
    }

    pub fn publish(&self, will: Inbound) {
        self.dispatcher.publish_internal(will);
    }

    /// Names that were given before a restart are not given again.
    pub fn restore(&self, state: &[(Key, Value)]) {
        self.dispatcher.restore_numbers(state);
    }
}

/// Of the session that is away.
pub fn will_of(client: &Arc<str>) -> Key {
    Key::Will { client: client.clone() }
}
