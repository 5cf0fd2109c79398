//! A will is a message of the device that the gateway publishes for it (MQTT 5, section 3.1.2.5): bindings apply to it.

use std::sync::Arc;

use crate::base::clock::unix_ms;
use crate::bindings::{Dispatcher, Inbound};
use crate::bus::Journal;
use crate::message::{Message, Origin};
use crate::spool::Change;

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

    /// `changes` are safe together with it.
    pub fn publish(&self, client: &Arc<str>, message: Message, changes: Vec<Change>) {
        let origin = Arc::new(Origin { client: client.clone(), arrived_ms: unix_ms(), hops: 0, principal: None });
        self.dispatcher.publish_internal(Inbound { changes, ..Inbound::internal(message, origin) });
    }
}
