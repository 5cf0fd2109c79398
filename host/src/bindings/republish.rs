//! One hop further: what a binding publishes locally meets the bindings again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::dispatcher::Dispatcher;
use super::route::Inbound;
use super::unfinished;
use crate::base::excerpt::brief;
use crate::message::Message;
use crate::spool::{Change, Key, Receipt, Value};

impl Dispatcher {
    /// Takes up what was to be republished when the gateway died. To be called once, when sessions are restored.
    pub fn restore(self: &Arc<Self>, state: &[(Key, Value)]) {
        self.restore_numbers(state);
        for (client, number, value) in unfinished(state) {
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
                    tracing::error!(client = ?brief(&client), number, "lost, a message is not republished: {error}");
                }
            }
        }
    }

    /// Numbers that were given before a restart are not given again. To be called before any is given.
    pub fn restore_numbers(&self, state: &[(Key, Value)]) {
        let next = unfinished(state).map(|(_, number, _)| number.saturating_add(1)).max().unwrap_or(0);
        self.next_unfinished.fetch_max(next, Ordering::Relaxed);
    }

    /// One hop further, counted.
    pub(super) fn further(&self, message: Message, cause: &mut Inbound) -> Inbound {
        self.counters.republished.increment();
        cause.further(message)
    }

    /// See [`unfinished`].
    pub fn write_down(&self, further: &mut Inbound) -> Change {
        let key = unfinished::key(further, self.next_unfinished.fetch_add(1, Ordering::Relaxed));
        further.changes.push(Change::delete(key.clone()));
        Change::put(key, unfinished::encode(further))
    }
}

fn unfinished(state: &[(Key, Value)]) -> impl Iterator<Item = (&Arc<str>, u64, &Value)> {
    state.iter().filter_map(|(key, value)| match key {
        Key::Unfinished { client, number } => Some((client, *number, value)),
        _ => None,
    })
}
