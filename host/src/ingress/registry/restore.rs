//! Sessions as they were before a restart. Every device is away at first; what has expired meanwhile is still put in its
//! place, and the next sweep ends it in the usual way, will and all.

use bytes::Bytes;

use super::*;
use crate::control::clock::{self, until_unix_ms};
use crate::ingress::remembered::{Remembered, Sessions};
use crate::ingress::session::Link;
use crate::mqtt::Version;

/// What was found, for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    pub sessions: usize,
    pub queued: usize,
    /// Messages that the caps of this configuration have no room for.
    pub dropped: usize,
    pub retained: usize,
}

impl Restored {
    /// Tells what a person should know.
    pub fn log(&self) {
        let Self { sessions, queued, dropped, retained } = self;
        tracing::info!(sessions, queued, retained, "sessions restored");
        if *dropped > 0 {
            tracing::error!(
                dropped,
                "queued messages of sessions are gone: broker.limits.max_queued_* has become too low"
            );
        }
    }
}

impl Registry {
    /// To be called once, before the first device is let in.
    pub fn restore(&self, state: &[(Key, Bytes)]) -> Restored {
        let sorted = Sessions::sort(state);
        self.next_generation.store(sorted.next_generation, Ordering::Relaxed);
        self.write(sorted.stale);
        let mut restored = Restored { retained: self.restore_retained(state), ..Restored::default() };
        for (client, remembered) in sorted.by_client {
            restored.sessions += 1;
            let away = self.recall(&client, remembered, &mut restored);
            self.lock().insert(client, Slot::Away(Box::new(away)));
        }
        for (client, will) in sorted.wills {
            self.wills.publish(&client, will.message, vec![Change::delete(will_of(&client))]);
        }
        restored
    }

    fn restore_retained(&self, state: &[(Key, Bytes)]) -> usize {
        let mut retained = 0;
        for (key, value) in state {
            if !matches!(key, Key::Retained { .. }) {
                continue;
            }
            match self.bus.restore_retained(value) {
                Ok(true) => retained += 1,
                Ok(false) => self.write(vec![Change::delete(key.clone())]),
                Err(error) => tracing::error!(?key, "not restored: {error}"),
            }
        }
        retained
    }

    fn recall(&self, client: &Arc<str>, remembered: Remembered, restored: &mut Restored) -> Away {
        let Remembered { session: stored, subscriptions, will, queued, received } = remembered;
        let (limits, budget) = (self.mailbox_limits, self.mailbox_budget.clone());
        let mailbox = Mailbox::durable(client.clone(), limits, budget, stored.generation);
        // The version comes with the next connection; until then only the window matters.
        let link = Link::new(Version::V5, stored.window, stored.window);
        let mut session = Session::new(client.clone(), mailbox.clone(), link);
        for (filter, subscription) in subscriptions {
            session.subscriptions.restore(&self.bus, &mailbox, &filter, subscription);
        }
        received.into_iter().for_each(|packet_id| session.restore_exchange(packet_id));
        for (number, value) in queued {
            match session.restore_queued(number, &value) {
                Ok(has_room) => {
                    restored.queued += 1;
                    restored.dropped += usize::from(!has_room);
                }
                Err(error) => tracing::error!(?client, number, "a queued message is not restored: {error}"),
            }
        }
        session.flush(self.wills.journal());
        let now = clock::now();
        let ends_in = stored.ends_at_ms.map_or(stored.expiry, until_unix_ms);
        let will = will.map(|will| (Will { message: will.message, delay: 0 }, now + until_unix_ms(will.due_ms)));
        Away { session, ends_at: now + ends_in, will }
    }
}
