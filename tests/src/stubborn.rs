//! A device that keeps its session and never gives up: what a good client library does when its gateway vanishes.
//!
//! A message is an obligation as soon as the device may forget it: at PUBACK (QoS 1) or PUBREC (QoS 2). On a new connection
//! each unfinished exchange goes on where it was, in its old order: PUBLISH with DUP, or PUBREL.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::doors::Dial;
use crate::driver::{Expect, WINDOW, payload_of};
use crate::eventually::SOON;
use crate::oracle::{Expected, Oracle};
use crate::raw::{Next, Raw};
use crate::wire::{self, CONNACK, Connect, PUBACK, PUBCOMP, PUBREC, PUBREL, Packet, SUBSCRIBE, V5, Version};

/// Its session outlives whatever these tests do.
const SESSION_EXPIRY: u32 = 3_600;

/// To what a client asks of a server; none to an ack.
pub type Answer = fn(&Packet) -> Option<Vec<u8>>;

pub struct Stubborn {
    habits: Habits,
    raw: Option<Raw>,
    oracle: Oracle,
    /// In the order of sending.
    exchanges: VecDeque<Exchange>,
    sent: usize,
    next_id: u16,
    met_before: bool,
    forgotten: usize,
    /// What it is as a server, asked for.
    requests: Option<Answer>,
    /// A SUBSCRIBE has come since somebody looked.
    asked: bool,
}

#[derive(Clone, Debug)]
pub struct Habits {
    pub name: String,
    pub topic: String,
    pub qos: u8,
    pub version: Version,
    /// Bytes that make each message larger.
    pub padding: usize,
    /// What becomes of a message on its way, as [`Expect`] says.
    pub expect: Expect,
    pub dial: Dial,
}

struct Exchange {
    packet_id: u16,
    id: String,
    payload: String,
    /// PUBREC has come: only PUBREL is left to say.
    received: bool,
}

// === impl Habits ===

impl Habits {
    /// Of one that sends nothing.
    pub fn nobody() -> Self {
        let (name, topic, dial) = (String::new(), String::new(), Dial::default());
        Self { name, topic, qos: 0, version: V5, padding: 0, expect: |_, _, _| Default::default(), dial }
    }
}

// === impl Stubborn ===

impl Stubborn {
    pub fn new(habits: Habits) -> Self {
        let (oracle, exchanges) = (Oracle::new(), VecDeque::new());
        let (met_before, forgotten, requests, asked) = (false, 0, None, false);
        Self { habits, raw: None, oracle, exchanges, sent: 0, next_id: 1, met_before, forgotten, requests, asked }
    }

    /// Whether its client has subscribed since this was asked last.
    pub fn has_been_asked(&mut self) -> bool {
        std::mem::take(&mut self.asked)
    }

    /// As a server that sends: what else its client says is answered so.
    pub fn serving(self, requests: Answer) -> Self {
        Self { requests: Some(requests), ..self }
    }

    /// Goes on with a client that has come, in its session or in a new one, in which nothing is left of the one before.
    pub fn go_on_with(&mut self, raw: Raw, is_kept: bool) {
        if !is_kept {
            // With the identifiers of the one before.
            self.exchanges.clear();
            self.next_id = 1;
        }
        self.raw = Some(raw);
        for at in 0..self.exchanges.len() {
            self.say(at, true);
        }
    }

    /// Messages that are acknowledged.
    pub fn obligations(&self) -> usize {
        self.oracle.obligations()
    }

    pub fn is_idle(&self) -> bool {
        self.exchanges.is_empty()
    }

    pub fn is_connected(&self) -> bool {
        self.raw.is_some()
    }

    /// Hears no more of this connection.
    pub fn hang_up(&mut self) {
        self.raw = None;
    }

    /// How often a gateway did not know its session any more.
    pub fn forgotten(&self) -> usize {
        self.forgotten
    }

    pub fn into_oracle(self) -> Oracle {
        self.oracle
    }

    /// Takes up its session at this address, if somebody is there.
    pub fn connect(&mut self, gateway: SocketAddr) {
        let Habits { version, ref name, ref dial, .. } = self.habits;
        let Some(mut raw) = dial.open(gateway, version) else { return };
        raw.send(&Connect::new(version, name).persistent(SESSION_EXPIRY).encode());
        let Next::Packet(connack) = raw.next(SOON) else { return };
        assert_eq!((connack.kind(), connack.reason()), (CONNACK, 0), "{name}: {connack:?}");
        if self.met_before && !connack.session_present() {
            self.forgotten += 1;
            self.exchanges.retain(|exchange| !exchange.received);
        }
        self.met_before = true;
        self.raw = Some(raw);
        for at in 0..self.exchanges.len() {
            self.say(at, true);
        }
    }

    /// Sends as much as the window takes, when it may send anything new.
    pub fn send(&mut self, most: usize) -> usize {
        let room = WINDOW.saturating_sub(self.exchanges.len()).min(most);
        for _ in 0..room {
            let id = format!("{}-{}", self.habits.name, self.sent);
            let (topic, payload) = (self.habits.expect)(&self.habits.topic, &id, self.sent);
            let payload = self.pad(payload);
            self.oracle.sent(&id, &self.habits.name, Expected { topic, qos: self.habits.qos, payload });
            let payload = self.pad(payload_of(&id, self.sent));
            self.exchanges.push_back(Exchange { packet_id: self.next_id, id, payload, received: false });
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            self.sent += 1;
            self.say(self.exchanges.len() - 1, false);
        }
        room
    }

    /// Handles what comes in time; then whatever has come with it.
    pub fn listen(&mut self, patience: Duration) {
        let mut patience = patience;
        while let Some(raw) = &mut self.raw {
            match raw.next(patience) {
                Next::Packet(packet) => self.hear(&packet),
                Next::Silence => return,
                Next::Closed => self.raw = None,
            }
            patience = Duration::ZERO;
        }
    }

    fn hear(&mut self, packet: &Packet) {
        let kind = packet.kind();
        if let (Some(answer), Some(raw)) = (self.requests.and_then(|answer| answer(packet)), &mut self.raw) {
            self.asked |= kind == SUBSCRIBE;
            return raw.send(&answer);
        }
        assert!(matches!(kind, PUBACK | PUBREC | PUBCOMP), "{}: unexpected {packet:?}", self.habits.name);
        let found = self.exchanges.iter().position(|exchange| exchange.packet_id == packet.packet_id());
        let Some(at) = found else { panic!("{}: an ack for nothing: {packet:?}", self.habits.name) };
        let refused = packet.reason() >= 0x80;
        if kind != PUBCOMP && !refused {
            self.oracle.acknowledged(&self.exchanges[at].id);
        }
        if kind == PUBREC && !refused {
            self.exchanges[at].received = true;
            self.say(at, true);
        } else {
            self.exchanges.remove(at);
        }
    }

    /// The next thing to say in this exchange.
    fn say(&mut self, at: usize, again: bool) {
        let (Some(raw), Some(exchange)) = (&mut self.raw, self.exchanges.get(at)) else { return };
        if exchange.received {
            return raw.send(&wire::ack(PUBREL, exchange.packet_id));
        }
        let publish = wire::publish(self.habits.version, &self.habits.topic, &exchange.payload);
        let publish = publish.qos(self.habits.qos, exchange.packet_id);
        raw.send(&if again { publish.dup() } else { publish }.encode());
    }

    fn pad(&self, payload: String) -> String {
        match payload.strip_suffix('}') {
            Some(open) if self.habits.padding > 0 => format!(r#"{open},"pad":"{}"}}"#, "x".repeat(self.habits.padding)),
            _ => payload,
        }
    }
}
