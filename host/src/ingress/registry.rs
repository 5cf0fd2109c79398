//! Sessions by client identifier: who is connected, who is away, takeover, expiry, wills that wait.
//!
//! A session that outlives its connection is written when it begins, when its device leaves or comes back, and deleted when
//! it ends. Nobody waits for these: what is acknowledged within the session is written after them, in one log.

mod census;
mod end;
mod evict;
mod kick;
mod list;
mod owner;
mod restore;
mod restored;
mod waiting_will;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

pub use census::Census;
use end::{by_weight, take_to_end};
pub use kick::Kick;
pub use list::{DropError, SessionState};
use waiting_will::{Orphans, WaitingWill};

use super::handshake::Terms;
use super::session::Session;
use super::wills::{LeftWill, Wills, will_of};
use crate::access::{Access, Permit};
use crate::auth::User;
use crate::base::heartbeat::Heartbeat;
use crate::base::held_bytes::HeldPart;
use crate::base::ledger::Ledger;
use crate::base::rate_limit::RateLimit;
use crate::base::{clock, timeline};
use crate::bus::{Bus, Mailbox, MailboxLimits, Queues};
use crate::mqtt::{Packet, Reason, Will};
use crate::spool::{Change, Receipt};

/// How long a new connection waits for the old one of the same client to hand over the session. The old one only has to
/// notice; when it does not, it hangs, and the device is told to try again.
const TAKEOVER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a session leaves behind is deleted by so many bytes in one record: they go beside a full log, and into the smallest segment.
const FAREWELL_BYTES: usize = 32 * 1_024;

pub struct Registry {
    slots: Mutex<HashMap<Arc<str>, Slot>>,
    /// A session came back.
    released: Notify,
    bus: Arc<Bus>,
    wills: Wills,
    mailbox_limits: MailboxLimits,
    queues: Arc<Queues>,
    max_sessions: usize,
    warnings: RateLimit,
    orphans: Orphans,
    access: Arc<Access>,
    /// Of the sweep.
    heartbeat: Heartbeat,
}

enum Slot {
    Connected {
        kick: Arc<Kick>,
        /// Who it has proved to be, and by which password.
        user: Option<Arc<str>>,
        login: Option<Arc<User>>,
        mailbox: Arc<Mailbox>,
        expiry: Duration,
        since: Instant,
        /// Of a will that is written.
        will: Option<HeldPart>,
    },
    Away(Box<Away>),
    /// Its end is being written. What is written of a session has the name of its client: the next one must not be written before.
    Ending,
}

struct Away {
    session: Session,
    since: Instant,
    ends_at: Instant,
    will: Option<WaitingWill>,
}

/// A session for a new connection.
pub struct Opened {
    pub session: Session,
    pub present: bool,
    /// What a resumed session sends first.
    pub releases: Vec<Packet>,
    /// Notified when another connection takes the session over, or an operator drops it.
    pub kicked: Arc<Kick>,
}

/// When what was begun is safe.
type Written = oneshot::Receiver<()>;

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
        queues: Arc<Queues>,
        max_sessions: usize,
    ) -> Self {
        let (slots, released) = (Mutex::default(), Notify::new());
        let (warnings, orphans) = (RateLimit::per_second(1), Orphans::default());
        let (access, heartbeat) = (Arc::default(), Heartbeat::default());
        Self { slots, released, bus, wills, mailbox_limits, queues, max_sessions, warnings, orphans, access, heartbeat }
    }

    /// What its sessions may do after a restart. Before that they have what their connections brought.
    pub fn with_access(self, access: Arc<Access>) -> Self {
        Self { access, ..self }
    }

    /// The session of this client: taken over from another connection, resumed, or new. One that begins is written before its
    /// device hears of it: found again after a crash, the last one would take new messages for repetitions of its own.
    ///
    /// By the deadline, or it is as if the device had not asked: a disk that is full or stands still must not hold a device that
    /// could try another gateway.
    pub async fn open(&self, terms: &Terms, deadline: tokio::time::Instant) -> Result<Opened, Reason> {
        let in_flight = self.wills.journal().in_flight();
        let room = in_flight.room(&terms.client_id, terms.will.is_some());
        tokio::time::timeout_at(deadline, room).await.map_err(|_| Reason::SERVER_BUSY)?;
        let handed_over_by = deadline.min(tokio::time::Instant::now() + TAKEOVER_TIMEOUT);
        let waiting = tokio::time::timeout_at(handed_over_by, async {
            loop {
                let released = self.released.notified();
                if let Some(opened) = self.try_open(terms) {
                    return opened;
                }
                released.await;
            }
        });
        let (opened, written) = waiting.await.unwrap_or(Err(Reason::SERVER_BUSY))?;
        if let Ok(Ok(())) = tokio::time::timeout_at(deadline, written).await {
            return Ok(opened);
        }
        self.close(opened.session, Ending { will: None, session_expiry: Duration::ZERO });
        Err(Reason::SERVER_BUSY)
    }

    /// `None` while another connection has it, which is asked to leave, and while it ends.
    fn try_open(&self, terms: &Terms) -> Option<Result<(Opened, Written), Reason>> {
        let mut slots = self.lock();
        let client: Arc<str> = terms.client_id.as_str().into();
        let away = match slots.get(&client) {
            Some(slot) if !slot.is_for(terms) => return Some(Err(Reason::NOT_AUTHORIZED)),
            Some(Slot::Connected { kick, .. }) => {
                kick.hand_over();
                return None;
            }
            Some(Slot::Ending) => return None,
            // Its slot has the new connection before anybody else looks.
            Some(Slot::Away(_)) => take_to_end(&mut slots, &client),
            None => None,
        };
        let outlives = !terms.session_expiry.is_zero();
        let mut evicted = None;
        if away.is_none() && outlives && kept(&slots) >= self.max_sessions {
            evicted = Self::evict(&mut slots);
            if evicted.is_none() {
                return Some(Err(Reason::QUOTA_EXCEEDED));
            }
        }
        let (kicked, expiry, since) = (Arc::<Kick>::default(), terms.session_expiry, clock::now());
        let (will, place) = self.replaced_will(&client, away.as_deref(), (terms.will.as_ref(), &terms.permit));
        let resumed = away.as_ref().filter(|away| away.is_resumed_by(terms)).map(|away| away.session.mailbox().clone());
        let mailbox = resumed.unwrap_or_else(|| self.mailbox(&client, outlives));
        let (kick, user, login) = (kicked.clone(), terms.user().cloned(), terms.login.clone());
        let slot = Slot::Connected { kick, user, login, mailbox: mailbox.clone(), expiry, since, will: place };
        slots.insert(client.clone(), slot);
        drop(slots);
        evicted.into_iter().for_each(|away| self.end_evicted(*away));
        Some(Ok(self.attach((client, mailbox), away, will, terms, kicked)))
    }

    fn attach(
        &self,
        (client, mailbox): (Arc<str>, Arc<Mailbox>),
        away: Option<Box<Away>>,
        will: Option<(Change, Receipt)>,
        terms: &Terms,
        kicked: Arc<Kick>,
    ) -> (Opened, Written) {
        let (safe, written) = oneshot::channel();
        mailbox.set_permit(terms.permit.clone());
        let mut receipt = Receipt::call(move || _ = safe.send(()));
        match away {
            Some(away) if Arc::ptr_eq(away.session.mailbox(), &mailbox) => {
                let mut session = away.session;
                mailbox.attach();
                let releases = session.resume(terms.link());
                self.begin(&session, terms.session_expiry, will, Receipt::none());
                receipt.nothing_to_keep();
                (Opened { session, present: true, releases, kicked }, written)
            }
            away => {
                if let Some(away) = away {
                    self.end(away.of_returned(), receipt.split());
                }
                mailbox.attach();
                let session = Session::new(client, mailbox, terms.link());
                self.begin(&session, terms.session_expiry, will, receipt);
                (Opened { session, present: false, releases: Vec::new(), kicked }, written)
            }
        }
    }

    /// Its device waits for a session that is written. For its will alone it does not: until that is written, in a moment, its
    /// device might as well have connected a moment later.
    fn begin(&self, session: &Session, expiry: Duration, will: Option<(Change, Receipt)>, receipt: Receipt) {
        // Two records: where the spool is full, that of the session has room, and that of the will may have to wait.
        let (journal, client) = (self.wills.journal(), session.client());
        journal.change_session(client, session.description(expiry, None).into_iter().collect(), receipt);
        if let Some((will, written)) = will {
            journal.change_session(client, vec![will], written);
        }
    }

    fn mailbox(&self, client: &Arc<str>, outlives: bool) -> Arc<Mailbox> {
        let (limits, queues) = (self.mailbox_limits, self.queues.clone());
        if !outlives {
            return Mailbox::new(client.clone(), limits, queues);
        }
        let generation = queues.new_generation();
        Mailbox::durable(client.clone(), limits, queues, generation)
    }

    /// The account of what clients hold.
    pub fn ledger(&self) -> &Arc<Ledger> {
        self.queues.ledger()
    }

    /// When [`Registry::sweep`] came by.
    pub fn heartbeat(&self) -> &Heartbeat {
        &self.heartbeat
    }

    /// Bytes that wait for subscribers.
    pub fn queued_bytes(&self) -> usize {
        self.queues.bytes()
    }

    /// Bytes of retained messages.
    pub fn retained_bytes(&self) -> usize {
        self.bus.retained_bytes()
    }

    /// The connection is gone: the session waits for its device, or ends.
    pub fn close(&self, mut session: Session, ending: Ending) {
        session.mailbox().detach();
        session.flush(self.wills.journal());
        let (now, client) = (clock::now(), session.client().clone());
        let (is_dropped, has_will) = self.connected(&client);
        let permit = session.permit().clone();
        let mut will = ending.will.map(|will| WaitingWill::of(will, permit, now, self.ledger()));
        if will.is_none() && has_will {
            self.write_of(&client, vec![Change::delete(will_of(&client))]);
        }
        if let Some(due) = will.take_if(|will| will.due <= now) {
            self.publish_at_end(&client, due.left);
        }
        let expiry = if is_dropped { Duration::ZERO } else { ending.session_expiry };
        let away = Away { session, since: now, ends_at: now + expiry, will };
        if expiry.is_zero() {
            self.lock().insert(client, Slot::Ending);
            return self.finish(away);
        }
        // Two records, as when it came.
        let description = away.session.description(expiry, Some(timeline::ms_of(away.ends_at)));
        self.write_of(&client, description.into_iter().collect());
        if let Some((put, receipt)) = away.will.as_ref().map(|will| will.written(&client)) {
            self.wills.journal().change_session(&client, vec![put], receipt);
        }
        self.lock().insert(client, Slot::Away(Box::new(away)));
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
            } else if let Some(will) = away.will.take_if(|will| will.due <= now) {
                due.push((client.clone(), will));
            }
        }
        due.extend(self.orphans.take_due(now));
        // One order in each run: the map has none.
        due.sort_by(|(one, _), (other, _)| one.cmp(other));
        ended.sort();
        for (client, will) in due {
            self.publish_written(&client, will.left);
        }
        for client in ended {
            self.expire(&client, now);
        }
        self.forget_shed();
        self.heartbeat.beat();
    }

    fn write_of(&self, client: &Arc<str>, changes: Vec<Change>) {
        self.wills.journal().change_session(client, changes, Receipt::none());
    }

    fn write(&self, changes: Vec<Change>) {
        self.wills.journal().change(changes, Receipt::none());
    }

    /// Whether an operator has dropped the session of this connection, and whether it has a will that is written.
    fn connected(&self, client: &str) -> (bool, bool) {
        match self.lock().get(client) {
            Some(Slot::Connected { kick, will, .. }) => (kick.is_dropped(), will.is_some()),
            _ => (false, false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sessions that outlive their connection, or will.
fn kept(slots: &HashMap<Arc<str>, Slot>) -> usize {
    slots.values().filter(|slot| !matches!(slot, Slot::Ending | Slot::Connected { expiry: Duration::ZERO, .. })).count()
}

impl Away {
    fn is_resumed_by(&self, terms: &Terms) -> bool {
        !terms.clean_start && self.ends_at > clock::now()
    }
}

#[cfg(test)]
mod tests;
