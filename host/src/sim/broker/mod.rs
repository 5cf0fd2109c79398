//! An upstream broker in a few words: correct in both versions as long as nobody tells it to be otherwise.
//!
//! QoS 2 by method A (MQTT 5, section 4.3.3): a message arrives with its first PUBLISH.

mod connection;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tidegate_tests::wire::{V4, V5};
use tokio::io::DuplexStream;
use tokio::sync::Notify;

use self::connection::Connection;
use super::coverage::happened;
use super::dice::Dice;
use super::oracle::Oracle;
use super::plan::{First, UpstreamPlan};

/// The padding of a message on which a broker closes that hates it.
pub const POISON: usize = 666;

/// Whether this is a message on which somebody closes.
pub fn is_poison(payload: &str) -> bool {
    payload.ends_with(&"x".repeat(POISON)) && !payload.ends_with(&"x".repeat(POISON + 1))
}

/// What a broker does wrong for a while.
#[derive(Clone, Debug, Default)]
pub struct Mood {
    pub away: bool,
    pub deaf: bool,
    pub slow_ms: u64,
    /// Of a thousand.
    pub loses_acks: u64,
    pub refuses: u64,
    pub wrong_acks: bool,
}

/// What CONNACK says, at MQTT 5.
#[derive(Clone, Debug)]
pub struct Terms {
    pub max_qos: u8,
    pub retain: bool,
    pub receive_maximum: u16,
    pub packet_size: Option<u32>,
}

struct State {
    mood: Mood,
    terms: Terms,
    sessions: BTreeMap<String, BTreeSet<u16>>,
    /// Packet ids of messages on whose PUBREL it closes.
    poisoned: BTreeSet<u16>,
    dice: Dice,
}

#[derive(Clone)]
pub struct Broker {
    pub plan: UpstreamPlan,
    /// Where it is found.
    pub host: String,
    is_mute: bool,
    least_pipe: usize,
    state: Arc<Mutex<State>>,
    /// All connections end.
    cut: Arc<Notify>,
    /// All connections are left without a word.
    vanish: Arc<Notify>,
    changed: Arc<Notify>,
    oracle: Oracle,
}

// === impl Broker ===

impl Broker {
    pub fn new(plan: &UpstreamPlan, seed: u64, oracle: Oracle) -> Self {
        Self::at(plan, plan.name.clone(), seed, oracle)
    }

    /// What is at the first address, when there is one.
    pub fn first(plan: &UpstreamPlan, seed: u64, oracle: &Oracle) -> Option<Self> {
        let mut first = Self::at(plan, format!("first-{}", plan.name), seed, oracle.clone());
        first.is_mute = plan.first? == First::Mute;
        if let Some(First::Tiny(bytes)) = plan.first {
            first.state().terms.packet_size = Some(bytes);
        }
        // A session of one address is none at the other: QoS 2 may come twice.
        oracle.book().forgetful.insert(plan.name.clone());
        Some(first)
    }

    pub fn with_pipes_of(self, least_pipe: usize) -> Self {
        Self { least_pipe, ..self }
    }

    fn at(plan: &UpstreamPlan, host: String, seed: u64, oracle: Oracle) -> Self {
        let terms = Terms { max_qos: 2, retain: true, receive_maximum: plan.receive_maximum, packet_size: None };
        let mood = Mood { wrong_acks: plan.acks_wrong, ..Mood::default() };
        let state =
            State { mood, terms, sessions: BTreeMap::new(), poisoned: BTreeSet::new(), dice: Dice::new(seed, &host) };
        if plan.acks_wrong {
            oracle.book().forgetful.insert(plan.name.clone());
        }
        Self {
            plan: plan.clone(),
            host,
            is_mute: false,
            least_pipe: 0,
            state: Arc::new(Mutex::new(state)),
            cut: Arc::default(),
            vanish: Arc::default(),
            changed: Arc::default(),
            oracle,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn mood(&self, change: impl FnOnce(&mut Mood)) {
        let mut state = self.state();
        change(&mut state.mood);
        let away = state.mood.away;
        drop(state);
        if away {
            self.cut();
        }
        self.changed.notify_waiters();
    }

    /// Nothing goes wrong any more, but for what it is. Terms that have fallen stay where they are.
    pub fn calm(&self) {
        self.mood(|mood| *mood = Mood { wrong_acks: self.plan.acks_wrong, ..Mood::default() });
    }

    /// Terms hold for a connection.
    pub fn terms(&self, change: impl FnOnce(&mut Terms)) {
        change(&mut self.state().terms);
        self.cut();
    }

    pub fn cut(&self) {
        self.cut.notify_waiters();
    }

    pub fn vanish(&self) {
        self.vanish.notify_waiters();
    }

    pub fn forget(&self) {
        let mut state = self.state();
        state.sessions.clear();
        state.poisoned.clear();
        drop(state);
        self.oracle.book().forgetful.insert(self.plan.name.clone());
        self.cut();
    }

    /// The near end of a connection, if somebody is there.
    pub fn dial(&self) -> Option<DuplexStream> {
        if self.state().mood.away {
            happened("an upstream is away");
            return None;
        }
        let capacity = (*self.state().dice.pick(&[64, 1_000, 16_000, 64_000])).max(self.least_pipe);
        let (near, stream) = tokio::io::duplex(capacity);
        let version = if self.plan.version == 5 { V5 } else { V4 };
        let terms = self.state().terms.clone();
        tokio::spawn(Connection::new(self.clone(), stream, version, terms).serve());
        Some(near)
    }

    fn throw(&self, permille: u64) -> bool {
        permille > 0 && self.state().dice.permille(permille)
    }
}

// === impl State ===

impl State {
    /// Whether the client has a session already.
    fn attach(&mut self, client: &str, clean: bool) -> bool {
        if clean {
            self.poisoned.clear();
            self.sessions.remove(client);
        }
        let present = self.sessions.contains_key(client);
        self.sessions.entry(client.to_owned()).or_default();
        present
    }
}
