//! For the operator: which sessions there are, and the end of one.

use serde::{Deserialize, Serialize};

use super::*;
use crate::base::clock::{self, unix_ms, unix_ms_of};
use crate::base::excerpt::brief;
use crate::bus::Holding;
use crate::spool::Key;

/// How long the connection of a session that is dropped may take to leave.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    pub client: String,
    /// Whose it is, where a user has proved to be its own.
    #[serde(default)]
    pub user: Option<String>,
    pub connected: bool,
    /// Since when it is one or the other, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// How long it outlives its connection.
    pub expiry_seconds: u64,
    /// While it is away: when it ends.
    pub ends_at_ms: Option<u64>,
    pub subscriptions: usize,
    /// Messages that wait for it and have not been sent.
    pub queued_messages: usize,
    /// With what is sent and not acknowledged.
    pub queued_bytes: usize,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropError {
    #[error("there is no session of the client {0:?}; `tidegate sessions` shows those that there are")]
    Unknown(String),
    #[error("the connection of the client {0:?} did not end in {DROP_TIMEOUT:?}: its session ends with it")]
    Hangs(String),
}

impl Registry {
    /// By client.
    pub fn list(&self) -> Vec<SessionState> {
        let mut sessions: Vec<_> = self.lock().iter().filter_map(|(client, slot)| slot.state(client)).collect();
        sessions.sort_unstable_by(|one, other| one.client.cmp(&other.client));
        sessions
    }

    /// Ends a session as its expiry would: with its will, and what waits for a group goes to another member. A device that is
    /// connected is sent away first.
    pub async fn drop_session(&self, client: &str) -> Result<(), DropError> {
        if let Some(away) = self.take_away(client)? {
            tracing::info!(client = ?brief(&client), "an operator drops the session");
            self.finish(*away);
            return Ok(());
        }
        tracing::info!(client = ?brief(&client), "an operator drops the session, and the connection with it");
        let gone = tokio::time::timeout(DROP_TIMEOUT, async {
            loop {
                let released = self.released.notified();
                if !self.kick_out(client) {
                    return;
                }
                released.await;
            }
        });
        gone.await.map_err(|_| DropError::Hangs(client.to_owned()))
    }

    /// The session, unless its device is connected or it ends already.
    fn take_away(&self, client: &str) -> Result<Option<Box<Away>>, DropError> {
        let mut slots = self.lock();
        match slots.contains_key(client) {
            true => Ok(take_to_end(&mut slots, client)),
            false => Err(DropError::Unknown(client.to_owned())),
        }
    }

    /// Whether there is a connection to wait for, or an end.
    fn kick_out(&self, client: &str) -> bool {
        match self.lock().get(client) {
            Some(Slot::Connected { kick, .. }) => {
                kick.drop_session();
                true
            }
            Some(Slot::Ending) => true,
            _ => false,
        }
    }

    /// Deletes from the log what was dropped from mailboxes to make room.
    pub(super) fn forget_shed(&self) {
        let mailboxes: Vec<Arc<Mailbox>> = self.lock().values().filter_map(Slot::mailbox).cloned().collect();
        for mailbox in mailboxes {
            let queued = |number| Change::delete(Key::Queued { client: mailbox.client().clone(), number });
            let changes: Vec<_> = mailbox.take_shed().into_iter().map(queued).collect();
            by_weight(changes).for_each(|part| self.write_of(mailbox.client(), part));
        }
    }
}

// === impl Slot ===

impl Slot {
    /// Of a session that has not ended.
    pub(super) fn mailbox(&self) -> Option<&Arc<Mailbox>> {
        match self {
            Self::Connected { mailbox, .. } => Some(mailbox),
            Self::Away(away) => Some(away.session.mailbox()),
            Self::Ending => None,
        }
    }

    fn state(&self, client: &str) -> Option<SessionState> {
        let now = clock::now();
        let (since, expiry, ends_at) = match self {
            Self::Connected { since, expiry, .. } => (*since, *expiry, None),
            Self::Away(away) => (away.since, away.ends_at - away.since, Some(away.ends_at)),
            Self::Ending => return None,
        };
        let milliseconds = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let mailbox = self.mailbox()?;
        let Holding { messages, bytes } = mailbox.holding();
        Some(SessionState {
            client: client.to_owned(),
            user: self.user().map(|user| user.to_string()),
            connected: ends_at.is_none(),
            since_ms: unix_ms_of(since),
            expiry_seconds: expiry.as_secs(),
            ends_at_ms: ends_at.map(|at| unix_ms().saturating_add(milliseconds(at.saturating_duration_since(now)))),
            subscriptions: mailbox.subscriptions(),
            queued_messages: messages,
            queued_bytes: bytes,
        })
    }
}
