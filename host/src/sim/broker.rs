//! An upstream broker in a few words: correct in both versions as long as nobody tells it to be otherwise.
//!
//! QoS 2 by method A (MQTT 5, section 4.3.3): a message arrives with its first PUBLISH.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tidegate_tests::wire::{self, Packet, Properties, V4, V5, Version, id};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::dice::Dice;
use super::oracle::Oracle;
use super::plan::UpstreamPlan;
use super::story::tell;

/// The padding of a message on which a broker closes that hates it.
pub const POISON: usize = 666;

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
    pub max_qos: Option<u8>,
}

struct State {
    mood: Mood,
    sessions: BTreeMap<String, BTreeSet<u16>>,
    dice: Dice,
}

#[derive(Clone)]
pub struct Broker {
    pub plan: UpstreamPlan,
    state: Arc<Mutex<State>>,
    /// All connections end.
    cut: Arc<Notify>,
    changed: Arc<Notify>,
    oracle: Oracle,
}

struct Connection {
    broker: Broker,
    stream: DuplexStream,
    input: Vec<u8>,
    version: Version,
    client: String,
    /// A session that began clean ends with its connection.
    keeps: bool,
    max_qos: u8,
}

// === impl Broker ===

impl Broker {
    pub fn new(plan: &UpstreamPlan, seed: u64, oracle: Oracle) -> Self {
        let dice = Dice::new(seed, &plan.name);
        let state = State { mood: Mood::default(), sessions: BTreeMap::new(), dice };
        Self {
            plan: plan.clone(),
            state: Arc::new(Mutex::new(state)),
            cut: Arc::default(),
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

    pub fn cut(&self) {
        self.cut.notify_waiters();
    }

    pub fn forget(&self) {
        self.state().sessions.clear();
        self.oracle.book().forgetful.insert(self.plan.name.clone());
        self.cut();
    }

    /// The near end of a connection, if somebody is there.
    pub fn dial(&self) -> Option<DuplexStream> {
        if self.state().mood.away {
            return None;
        }
        let capacity = *self.state().dice.pick(&[64, 1_000, 16_000, 64_000]);
        let (near, stream) = tokio::io::duplex(capacity);
        let version = if self.plan.version == 5 { V5 } else { V4 };
        let broker = self.clone();
        let connection =
            Connection { broker, stream, input: Vec::new(), version, client: String::new(), keeps: true, max_qos: 2 };
        tokio::spawn(connection.serve());
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
            self.sessions.remove(client);
        }
        let present = self.sessions.contains_key(client);
        self.sessions.entry(client.to_owned()).or_default();
        present
    }
}

// === impl Connection ===

impl Connection {
    async fn serve(mut self) {
        let cut = self.broker.cut.clone();
        let name = self.broker.plan.name.clone();
        tokio::select! {
            biased;
            () = cut.notified() => tell!(name, "cuts the connection"),
            why = self.talk() => tell!(name, "connection ended: {why}"),
        }
        if !self.keeps {
            self.broker.state().sessions.remove(&self.client);
        }
    }

    async fn talk(&mut self) -> &'static str {
        loop {
            while let Some(packet) = Packet::take(&mut self.input) {
                if let Some(end) = self.hear(&packet).await {
                    return end;
                }
            }
            self.wait_while_deaf().await;
            let mut piece = [0; 4_096];
            match self.stream.read(&mut piece).await {
                Ok(0) | Err(_) => return "the gateway has closed",
                Ok(read) => self.input.extend_from_slice(&piece[..read]),
            }
        }
    }

    async fn wait_while_deaf(&self) {
        loop {
            let changed = self.broker.changed.notified();
            if !self.broker.state().mood.deaf {
                return;
            }
            changed.await;
        }
    }

    /// Why the connection is over, when it is.
    async fn hear(&mut self, packet: &Packet) -> Option<&'static str> {
        let mood = self.broker.state().mood.clone();
        let takes = mood.slow_ms + self.broker.plan.latency_ms;
        if takes > 0 {
            sleep(Duration::from_millis(takes)).await;
        }
        match packet.kind() {
            wire::CONNECT => self.connect(packet, &mood).await,
            wire::PUBLISH => self.publish(packet, &mood).await,
            wire::PUBREL => {
                let (client, id) = (self.client.clone(), packet.packet_id());
                self.broker.state().sessions.entry(client).or_default().remove(&id);
                if !self.broker.throw(mood.loses_acks) {
                    self.say(&wire::ack(wire::PUBCOMP, id)).await;
                }
                None
            }
            wire::PINGREQ => {
                self.say(b"\xD0\0").await;
                None
            }
            wire::DISCONNECT => Some("the gateway says good-bye"),
            _ => Some("a packet that makes no sense"),
        }
    }

    async fn connect(&mut self, packet: &Packet, mood: &Mood) -> Option<&'static str> {
        let mut cursor = wire::Cursor::new(&packet.body);
        let (_, _, flags, _) = (cursor.text(), cursor.byte(), cursor.byte(), cursor.short());
        if self.version == V5 {
            Properties::read(&mut cursor);
        }
        self.client = cursor.text();
        let clean = flags & 2 != 0;
        self.keeps = !clean;
        let present = self.broker.state().attach(&self.client, clean);
        self.max_qos = mood.max_qos.filter(|_| self.version == V5).unwrap_or(2);
        tell!(self.broker.plan.name, "CONNECT of {} clean {clean}: session present {present}", self.client);
        let mut body = vec![u8::from(present), 0];
        if self.version == V5 {
            let mut properties = Properties::new().short(id::RECEIVE_MAXIMUM, self.broker.plan.receive_maximum);
            if self.max_qos < 2 {
                properties = properties.byte(0x24, self.max_qos);
            }
            body.extend(properties.encode());
        }
        self.say(&wire::packet(0x20, &body)).await;
        None
    }

    async fn publish(&mut self, packet: &Packet, mood: &Mood) -> Option<&'static str> {
        let message = packet.delivered(self.version);
        let (name, qos, id) = (self.broker.plan.name.clone(), message.qos, message.packet_id);
        let (text, _) = super::plugin::read(message.payload.as_bytes());
        if self.broker.plan.hates_poison
            && message.payload.ends_with(&"x".repeat(POISON))
            && !message.payload.ends_with(&"x".repeat(POISON + 1))
        {
            return Some("it closes on a message that it does not like");
        }
        if qos > self.max_qos {
            self.say(&wire::packet(0xE0, &[0x9B, 0])).await;
            return Some("DISCONNECT 0x9B: QoS not supported");
        }
        if qos > 0 && self.version == V5 && self.broker.throw(mood.refuses) {
            let kind = if qos == 1 { wire::PUBACK } else { wire::PUBREC };
            tell!(name, "refuses {text} at QoS {qos}, id {id}");
            self.say(&wire::packet(kind << 4, &[(id >> 8) as u8, id as u8, 0x99, 0])).await;
            return None;
        }
        let is_new = qos < 2 || self.broker.state().sessions.entry(self.client.clone()).or_default().insert(id);
        if is_new {
            self.broker.oracle.arrived(&name, &text);
        }
        tell!(
            name,
            "PUBLISH {text} QoS {qos} id {id}{}{}",
            if message.dup { " DUP" } else { "" },
            if is_new { "" } else { " again" }
        );
        let kind = match (qos, mood.wrong_acks) {
            (0, _) => return None,
            (1, false) | (2, true) => wire::PUBACK,
            _ => wire::PUBREC,
        };
        if kind == wire::PUBACK {
            let client = self.client.clone();
            self.broker.state().sessions.entry(client).or_default().remove(&id);
        }
        match self.broker.throw(mood.loses_acks) {
            true => tell!(name, "loses the ack of {text}"),
            false => self.say(&wire::ack(kind, id)).await,
        }
        None
    }

    async fn say(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }
}
