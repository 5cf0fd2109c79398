//! Sessions by client identifier: who is connected, who is away, takeover, expiry, wills that wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::codec::{Reason, Will};
use super::handshake::Terms;
use super::session::{Action, Session};
use super::wills::Wills;
use crate::bus::{Budget, Bus, Mailbox, MailboxLimits};

/// How long a new connection waits for the old one of the same client to hand over the session. The old one only has to
/// notice; when it does not, it hangs, and the device is told to try again.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(5);

pub struct Registry {
    slots: Mutex<HashMap<Arc<str>, Slot>>,
    /// A session came back.
    released: Notify,
    bus: Arc<Bus>,
    wills: Wills,
    mailbox_limits: MailboxLimits,
    mailbox_budget: Arc<Budget>,
    max_sessions: usize,
}

enum Slot {
    Connected { kick: Arc<Notify> },
    Away(Box<Away>),
}

struct Away {
    session: Session,
    ends_at: Instant,
    will: Option<(Will, Instant)>,
}

/// A session for a new connection.
pub struct Opened {
    pub session: Session,
    pub present: bool,
    /// What a resumed session sends first.
    pub resent: Vec<Action>,
    /// Notified when another connection takes the session over.
    pub kicked: Arc<Notify>,
}

/// How a connection ended.
#[derive(Debug)]
pub struct Ending {
    /// The will, unless the device said good-bye.
    pub will: Option<Will>,
    pub session_expiry: Duration,
}

// === impl Registry ===

impl Registry {
    pub fn new(
        bus: Arc<Bus>,
        wills: Wills,
        mailbox_limits: MailboxLimits,
        mailbox_budget: Arc<Budget>,
        max_sessions: usize,
    ) -> Self {
        let (slots, released) = (Mutex::default(), Notify::new());
        Self { slots, released, bus, wills, mailbox_limits, mailbox_budget, max_sessions }
    }

    /// The session of this client: taken over from another connection, resumed, or new.
    pub async fn open(&self, terms: &Terms) -> Result<Opened, Reason> {
        let waiting = tokio::time::timeout(TAKEOVER_TIMEOUT, async {
            loop {
                let released = self.released.notified();
                if let Some(opened) = self.try_open(terms) {
                    return opened;
                }
                released.await;
            }
        });
        waiting.await.unwrap_or(Err(Reason::SERVER_BUSY))
    }

    /// `None` while another connection has it: that one is asked to leave.
    fn try_open(&self, terms: &Terms) -> Option<Result<Opened, Reason>> {
        let mut slots = self.lock();
        let client: Arc<str> = terms.client_id.as_str().into();
        let away = match slots.remove(&client) {
            Some(Slot::Connected { kick }) => {
                kick.notify_one();
                slots.insert(client, Slot::Connected { kick });
                return None;
            }
            Some(Slot::Away(away)) => Some(away),
            None => None,
        };
        if away.is_none() && slots.len() >= self.max_sessions && !terms.session_expiry.is_zero() {
            return Some(Err(Reason::QUOTA_EXCEEDED));
        }
        let kicked = Arc::new(Notify::new());
        slots.insert(client.clone(), Slot::Connected { kick: kicked.clone() });
        drop(slots);
        Some(Ok(self.attach(client, away, terms, kicked)))
    }

    fn attach(&self, client: Arc<str>, away: Option<Box<Away>>, terms: &Terms, kicked: Arc<Notify>) -> Opened {
        match away {
            Some(away) if !terms.clean_start && away.ends_at > Instant::now() => {
                let mut session = away.session;
                session.mailbox().attach();
                let resent = session.resume(terms.link());
                Opened { session, present: true, resent, kicked }
            }
            away => {
                if let Some(away) = away {
                    self.end(*away);
                }
                let mailbox = Mailbox::new(client.clone(), self.mailbox_limits, self.mailbox_budget.clone());
                mailbox.attach();
                let session = Session::new(client, mailbox, terms.link());
                Opened { session, present: false, resent: Vec::new(), kicked }
            }
        }
    }

    /// The connection is gone: the session waits for its device, or ends.
    pub fn close(&self, session: Session, ending: Ending) {
        session.mailbox().detach();
        let now = Instant::now();
        let mut will = ending.will.map(|will| {
            let at = now + Duration::from_secs(will.delay.into());
            (will, at)
        });
        if let Some((due, _)) = will.take_if(|(_, at)| *at <= now) {
            self.wills.publish(session.client(), due.message);
        }
        let away = Away { session, ends_at: now + ending.session_expiry, will };
        let client = away.session.client().clone();
        if ending.session_expiry.is_zero() {
            self.lock().remove(&client);
            self.end(away);
        } else {
            self.lock().insert(client, Slot::Away(Box::new(away)));
        }
        self.released.notify_waiters();
    }

    /// Ends what has expired and publishes the wills that are due. Called about once a second by its owner.
    pub fn sweep(&self, now: Instant) {
        let mut ended = Vec::new();
        let mut due = Vec::new();
        for (client, slot) in self.lock().iter_mut() {
            let Slot::Away(away) = slot else { continue };
            if away.ends_at <= now {
                ended.push(client.clone());
            } else if let Some((will, _)) = away.will.take_if(|(_, at)| *at <= now) {
                due.push((client.clone(), will));
            }
        }
        for (client, will) in due {
            self.wills.publish(&client, will.message);
        }
        for client in ended {
            self.expire(&client, now);
        }
    }

    /// Looks again: the device may have come back since the sweep saw it away.
    fn expire(&self, client: &str, now: Instant) {
        let mut slots = self.lock();
        let Some(Slot::Away(away)) = slots.get(client) else { return };
        if away.ends_at > now {
            return;
        }
        if let Some(Slot::Away(away)) = slots.remove(client) {
            drop(slots);
            self.end(*away);
        }
    }

    /// The session ends, and with it the delay of its will (MQTT 5, section 3.1.3.2.2).
    fn end(&self, away: Away) {
        let Away { mut session, will, .. } = away;
        let mailbox = session.mailbox().clone();
        session.subscriptions.clear(&self.bus, &mailbox);
        if let Some((will, _)) = will {
            self.wills.publish(session.client(), will.message);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
