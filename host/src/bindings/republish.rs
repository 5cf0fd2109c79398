//! One hop further: what a binding publishes locally meets the bindings again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::dispatcher::Dispatcher;
use super::route::Inbound;
use super::unfinished;
use crate::message::Message;
use crate::spool::{Change, Key, Receipt, Value};

impl Dispatcher {
    /// Takes up what was to be republished when the gateway died. To be called once, when sessions are restored.
    pub fn restore(self: &Arc<Self>, state: &[(Key, Value)]) {
        let unfinished = state.iter().filter_map(|(key, value)| match key {
            Key::Unfinished { client, number } => Some((client, *number, value)),
            _ => None,
        });
        let next = unfinished.clone().map(|(_, number, _)| number + 1).max().unwrap_or(0);
        self.next_unfinished.store(next, Ordering::Relaxed);
        for (client, number, value) in unfinished {
            match unfinished::decode(client, number, value) {
                Ok(Some(inbound)) => self.publish_internal(inbound),
                Ok(None) => {
                    self.counters.internal.increment();
                    self.counters.expired.increment();
                    let done = Change::delete(Key::Unfinished { client: client.clone(), number });
                    self.journal.change(vec![done], Receipt::none());
                }
                Err(error) => {
                    self.counters.internal.increment();
                    self.counters.acknowledged_lost.increment();
                    tracing::error!(?client, number, "lost, a message is not republished: {error}");
                }
            }
        }
    }

    /// One hop further, counted.
    pub(super) fn further(&self, message: Message, cause: &mut Inbound) -> Inbound {
        self.counters.republished.increment();
        cause.further(message)
    }

    /// See [`unfinished`].
    pub(super) fn write_down(&self, further: &mut Inbound) -> Change {
        let key = unfinished::key(further, self.next_unfinished.fetch_add(1, Ordering::Relaxed));
        further.changes.push(Change::delete(key.clone()));
        Change::put(key, unfinished::encode(further))
    }
}
