//! Sessions as they were before a restart. Every device is away at first; what has expired meanwhile is still put in its
//! place, and the next sweep ends it in the usual way, will and all.

use super::restored::{Remembered, Sessions};
use super::*;
use crate::access::Identity;
use crate::base::clock::{self, is_plausible};
use crate::base::excerpt::brief;
use crate::ingress::session::Link;
use crate::ingress::stored::{StoredSession, StoredWill};
use crate::mqtt::Version;
use crate::spool::{Key, Value};

/// How long a session that ended while the gateway was off waits for the other members of its groups, when it has messages for
/// them: members whose sessions ended with the gateway connect again in this time.
const MEMBERS_BACK: Duration = Duration::from_secs(10);

/// What was found, for the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    pub sessions: usize,
    pub queued: usize,
    /// Sessions for whom more waits than the limits of this configuration allow.
    pub over_limits: usize,
    pub retained: usize,
    /// Of the retained messages, those that the limits of this configuration would not have taken.
    pub retained_over_limits: usize,
}

impl Restored {
    /// Tells what a person should know.
    pub fn log(&self) {
        let Self { sessions, queued, over_limits, retained, retained_over_limits } = self;
        tracing::info!(sessions, queued, retained, "sessions restored");
        if *over_limits > 0 {
            tracing::warn!(
                sessions = over_limits,
                "more waits for sessions than broker.limits.max_queued_* now allows: it is kept, and nothing is added until there is room"
            );
        }
        if *retained_over_limits > 0 {
            tracing::warn!(
                messages = retained_over_limits,
                "more is retained than broker.limits.max_retained_* now allows: it is kept, and no new topic is added until there is room"
            );
        }
    }
}

impl Registry {
    /// To be called once, before the first device is let in.
    pub fn restore(&self, state: &[(Key, Value)]) -> Restored {
        self.wills.restore(state);
        let sorted = Sessions::sort(state);
        self.queues.claim_generation(sorted.last_generation);
        self.write(sorted.stale);
        let mut restored = self.restore_retained(state);
        for (client, remembered) in sorted.by_client {
            restored.sessions += 1;
            let away = self.recall(&client, remembered, &mut restored);
            self.lock().insert(client, Slot::Away(Box::new(away)));
        }
        for (client, will) in sorted.wills {
            match will.due_ms {
                // Its session ended with its connection.
                None => {
                    let permit = self.permit_of(&client, will.identity.as_ref());
                    let will = StoredWill { delay: Duration::ZERO, ..will };
                    self.orphans.add(client, WaitingWill::restored(will, permit, clock::now(), self.ledger()));
                }
                Some(_) => {
                    let permit = self.permit_of(&client, will.identity.as_ref());
                    self.publish_written(&client, LeftWill::new(will.message, permit, self.ledger()));
                }
            }
        }
        restored
    }

    fn permit_of(&self, client: &Arc<str>, identity: Option<&Arc<Identity>>) -> Permit {
        self.access.permit_of_stored(client, identity.map(|identity| (**identity).clone()))
    }

    fn restore_retained(&self, state: &[(Key, Value)]) -> Restored {
        let mut restored = Restored::default();
        for (key, value) in state {
            if !matches!(key, Key::Retained { .. }) {
                continue;
            }
            match self.bus.restore_retained(value) {
                Ok(Some(is_over)) => {
                    restored.retained += 1;
                    restored.retained_over_limits += usize::from(is_over);
                }
                Ok(None) => self.write(vec![Change::delete(key.clone())]),
                Err(error) => tracing::error!(?key, "not restored: {error}"),
            }
        }
        restored
    }

    fn recall(&self, client: &Arc<str>, remembered: Remembered, restored: &mut Restored) -> Away {
        let Remembered { session: stored, subscriptions, will, queued, received } = remembered;
        let (limits, queues) = (self.mailbox_limits, self.queues.clone());
        let mailbox = Mailbox::durable(client.clone(), limits, queues, stored.generation);
        // The version comes with the next connection; until then only the window matters.
        let permit = self.permit_of(client, stored.identity.as_ref());
        mailbox.set_permit(permit.clone());
        let link = Link::new(Version::V5, stored.window, stored.window).with(permit.clone());
        let mut session = Session::new(client.clone(), mailbox.clone(), link);
        let has_groups = !queued.is_empty() && subscriptions.iter().any(|(filter, _)| filter.starts_with("$share/"));
        for (filter, subscription) in subscriptions {
            session.subscriptions.restore(&self.bus, &mailbox, &filter, subscription);
        }
        received.into_iter().for_each(|packet_id| session.restore_exchange(packet_id));
        for (number, value) in queued {
            match session.restore_queued(number, &value) {
                Ok(()) => restored.queued += 1,
                Err(error) => {
                    tracing::error!(client = ?brief(&client), number, "a queued message is not restored: {error}")
                }
            }
        }
        restored.over_limits += usize::from(mailbox.is_over_limits());
        session.flush(self.wills.journal());
        let now = clock::now();
        let ends_in = ends_in(&stored);
        let ends_in = if has_groups { ends_in.max(MEMBERS_BACK) } else { ends_in };
        let will = will.map(|will| WaitingWill::restored(will, permit, now, self.ledger()));
        let since = now.checked_sub(stored.expiry.saturating_sub(ends_in)).unwrap_or(now);
        Away { session, since, ends_at: now + ends_in, will }
    }
}

/// Never longer than it was to last, and as long as that where it is not known since when its device is away: an earlier version may have
/// written it while its clock was not set.
fn ends_in(stored: &StoredSession) -> Duration {
    let ends_at = stored.ends_at_ms.filter(|at| is_plausible(*at));
    ends_at.map_or(stored.expiry, |at| timeline::until(at).min(stored.expiry))
}
