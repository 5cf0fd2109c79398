//! The sessions as a spool gives them back: sorted by client, what belongs to no session left out.
//!
//! Things are written by several hands at once: a message in a slow chain may be committed for a session that has ended
//! meanwhile. Such a thing carries the [`Generation`] of its session, and is deleted here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bus::Generation;
use crate::ingress::stored::{StoredExchange, StoredSession, StoredSubscription, StoredWill};
use crate::spool::wire::WireError;
use crate::spool::{Change, Key, Source, Value};

/// Everything that was written for one session.
#[derive(Debug)]
pub struct Remembered {
    pub session: StoredSession,
    pub subscriptions: Vec<(Arc<str>, StoredSubscription)>,
    pub will: Option<StoredWill>,
    /// By rising numbers.
    pub queued: Vec<(u64, Value)>,
    /// QoS 2 identifiers that have not been released.
    pub received: Vec<u16>,
}

#[derive(Debug, Default)]
pub struct Sessions {
    pub by_client: BTreeMap<Arc<str>, Remembered>,
    /// Wills whose sessions have ended: their chains were not done.
    pub wills: Vec<(Arc<str>, StoredWill)>,
    /// Nobody's: to be deleted.
    pub stale: Vec<Change>,
    /// The last that a session has had.
    pub last_generation: Generation,
}

// === impl Sessions ===

impl Sessions {
    /// From the state of a spool. What is not about sessions is passed over; what cannot be read is reported and stays.
    pub fn sort(state: &[(Key, Value)]) -> Self {
        let mut sessions = Self::default();
        for (key, value) in state {
            if let Key::Session { client } = key {
                report(key, sessions.open(client, value));
            }
        }
        for (key, value) in state {
            report(key, sessions.file(key, value));
        }
        for session in sessions.by_client.values_mut() {
            session.queued.sort_unstable_by_key(|(number, _)| *number);
        }
        sessions
    }

    fn open(&mut self, client: &Arc<str>, value: &[u8]) -> Result<(), WireError> {
        let session = StoredSession::decode(value)?;
        self.see(session.generation);
        let (subscriptions, queued, received) = (Vec::new(), Vec::new(), Vec::new());
        self.by_client.insert(client.clone(), Remembered { session, subscriptions, will: None, queued, received });
        Ok(())
    }

    fn file(&mut self, key: &Key, value: &Value) -> Result<(), WireError> {
        match key {
            Key::Subscription { client, filter } => {
                let subscription = StoredSubscription::decode(value)?;
                self.put(key, client, |_| true, |session| session.subscriptions.push((filter.clone(), subscription)));
            }
            Key::Will { client } => {
                let will = StoredWill::decode(value)?;
                match self.by_client.get_mut(client) {
                    Some(session) => session.will = Some(will),
                    None => self.wills.push((client.clone(), will)),
                }
            }
            Key::Queued { client, number } => {
                // Its upper half: `as` cannot lose anything of it.
                let generation = (number >> 32) as Generation;
                // Those of an earlier session are lower, and what is higher is of one that has given very many.
                let is_of = |session: &Remembered| generation >= session.session.generation;
                self.see(generation);
                self.put(key, client, is_of, |session| session.queued.push((*number, value.clone())));
            }
            Key::Qos2 { source: Source::Devices, client, packet_id } => {
                let generation = StoredExchange::decode(value)?.generation;
                self.see(generation);
                let is_of = |session: &Remembered| generation == session.session.generation;
                self.put(key, client, is_of, |session| session.received.push(*packet_id));
            }
            Key::Qos2 { source: Source::Upstream(_), .. }
            | Key::Session { .. }
            | Key::Retained { .. }
            | Key::Unfinished { .. }
            | Key::Upstream { .. }
            | Key::Released { .. }
            | Key::State { .. } => {}
        }
        Ok(())
    }

    fn put(
        &mut self,
        key: &Key,
        client: &str,
        is_of: impl FnOnce(&Remembered) -> bool,
        file: impl FnOnce(&mut Remembered),
    ) {
        match self.by_client.get_mut(client) {
            Some(session) if is_of(session) => file(session),
            _ => self.stale.push(Change::delete(key.clone())),
        }
    }

    fn see(&mut self, generation: Generation) {
        self.last_generation = self.last_generation.max(generation);
    }
}

fn report(key: &Key, read: Result<(), WireError>) {
    if let Err(error) = read {
        tracing::error!(?key, "not restored: {error}");
    }
}
