//! A device that keeps its session and never gives up: what a good client library does when its gateway vanishes.
//!
//! A message is an obligation as soon as the device may forget it: at PUBACK or PUBREC. On a new connection each unfinished exchange
//! goes on where it was, in its old order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidegate_tests::wire::{self, Connect, Packet, V4, V5, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::coverage::happened;
use super::gate::Gate;
use super::oracle::{Oracle, Place, Sent};
use super::plan::{DevicePlan, FAULTS_END_MS, Route, Sending, Verb};
use super::story::tell;
use crate::topic::MAX_LEVELS;

/// Longer than any run, and than what its clock jumps.
pub const SESSION_EXPIRY: u32 = 100_000_000;

pub struct Device {
    plan: DevicePlan,
    upstreams: Vec<String>,
    gate: Gate,
    oracle: Oracle,
    handle: Handle,
    version: Version,
    /// Not sent yet.
    next: usize,
    begun: Instant,
    next_due: Instant,
    exchanges: VecDeque<Exchange>,
    next_id: u16,
    met_before: bool,
}

/// What others see of it, and do to it.
#[derive(Clone, Default)]
pub struct Handle {
    pub cut: Arc<Notify>,
    pub is_done: Arc<AtomicBool>,
}

struct Exchange {
    packet_id: u16,
    id: String,
    sending: Sending,
    /// PUBREC has come: only PUBREL is left to say.
    received: bool,
}

// === impl Device ===

impl Device {
    pub fn new(plan: &DevicePlan, upstreams: Vec<String>, gate: Gate, oracle: Oracle) -> Self {
        let version = if plan.version == 5 { V5 } else { V4 };
        let mut device = Self {
            plan: plan.clone(),
            upstreams,
            gate,
            oracle,
            handle: Handle::default(),
            version,
            next: 0,
            begun: Instant::now(),
            next_due: Instant::now(),
            exchanges: VecDeque::new(),
            next_id: 1,
            met_before: false,
        };
        device.pause();
        device
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub async fn run(mut self) {
        loop {
            if let Some(stream) = self.gate.connect() {
                let cut = self.handle.cut.clone();
                let name = self.plan.name.clone();
                tokio::select! {
                    biased;
                    () = cut.notified() => {
                        happened("a device loses its connection");
                        tell!(name, "loses its connection");
                    }
                    why = self.talk(stream) => tell!(name, "connection over: {why}"),
                }
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn talk(&mut self, mut stream: DuplexStream) -> &'static str {
        let mut input = Vec::new();
        let connect = Connect::new(self.version, &self.plan.name).persistent(SESSION_EXPIRY).encode();
        if stream.write_all(&connect).await.is_err() {
            return "closed";
        }
        let Some(connack) = read(&mut stream, &mut input).await else { return "no CONNACK" };
        if connack.reason() != 0 {
            return "refused";
        }
        let window = match self.version {
            V5 => {
                connack.connack_properties().number(wire::id::RECEIVE_MAXIMUM).map_or(usize::MAX, |most| most as usize)
            }
            _ => usize::MAX,
        };
        let window = window.min(self.plan.window);
        self.begin(connack.session_present());
        let mut out = Vec::new();
        (0..self.exchanges.len()).for_each(|at| self.say(at, true, &mut out));
        loop {
            if !out.is_empty() && stream.write_all(&std::mem::take(&mut out)).await.is_err() {
                return "closed";
            }
            self.handle.is_done.store(self.is_done(), Ordering::Relaxed);
            let sends = self.next < self.plan.sendings.len() && self.exchanges.len() < window;
            let due = self.next_due;
            tokio::select! {
                biased;
                packet = read(&mut stream, &mut input) => match packet {
                    None => return "closed",
                    Some(packet) if packet.kind() == wire::DISCONNECT => return "told to leave",
                    Some(packet) => self.hear(&packet, &mut out),
                },
                () = sleep_until(due), if sends => self.send(&mut out),
            }
        }
    }

    fn begin(&mut self, present: bool) {
        tell!(self.plan.name, "connected, session present {present}");
        if self.met_before && !present {
            self.oracle.broken(format!("the session of {} was forgotten", self.plan.name));
            self.exchanges.retain(|exchange| !exchange.received);
        }
        self.met_before = true;
    }

    fn is_done(&self) -> bool {
        self.next == self.plan.sendings.len() && self.exchanges.is_empty()
    }

    fn pause(&mut self) {
        let Some(sending) = self.plan.sendings.get(self.next) else { return };
        self.next_due = Instant::now() + Duration::from_millis(sending.pause_ms);
        if self.next + 1 == self.plan.sendings.len() {
            // Life after the last fault is a promise of its own.
            self.next_due = self.next_due.max(self.begun + Duration::from_millis(FAULTS_END_MS + 1_000));
        }
    }

    fn send(&mut self, out: &mut Vec<u8>) {
        let sending = self.plan.sendings[self.next].clone();
        self.next += 1;
        let id = format!("{}-{}", self.plan.name, sending.number);
        let stream = format!("{}/{}", self.plan.name, self.topic(&sending));
        let mut due = self.due(&id, &sending);
        due.extend(self.oracle.listeners(&sending).map(|place| (place, id.clone())));
        self.oracle.sent(&id, Sent { stream, number: sending.number, qos: sending.qos, due, acked: false });
        tell!(
            self.plan.name,
            "PUBLISH {id} QoS {} {:?} {:?} +{}",
            sending.qos,
            sending.route,
            sending.verb,
            sending.padding
        );
        if sending.qos == 0 {
            out.extend(self.publish(&sending, &id, 0, false));
        } else {
            let packet_id = self.free_id();
            self.exchanges.push_back(Exchange { packet_id, id, sending, received: false });
            self.say(self.exchanges.len() - 1, false, out);
        }
        self.pause();
    }

    fn free_id(&mut self) -> u16 {
        loop {
            let id = self.next_id;
            self.next_id = if id == 50 { 1 } else { id + 1 };
            if !self.exchanges.iter().any(|exchange| exchange.packet_id == id) {
                return id;
            }
        }
    }

    fn hear(&mut self, packet: &Packet, out: &mut Vec<u8>) {
        let Some(at) = self.exchanges.iter().position(|exchange| exchange.packet_id == packet.packet_id()) else {
            return;
        };
        let (refused, id) = (packet.reason() >= 0x80, self.exchanges[at].id.clone());
        match packet.kind() {
            wire::PUBACK | wire::PUBREC if refused => {
                tell!(self.plan.name, "{id} is refused with {:#x}", packet.reason());
                self.exchanges.remove(at);
            }
            wire::PUBACK => {
                tell!(self.plan.name, "PUBACK {id}");
                self.oracle.acked(&id);
                self.exchanges.remove(at);
            }
            wire::PUBREC => {
                tell!(self.plan.name, "PUBREC {id}");
                self.oracle.acked(&id);
                self.exchanges[at].received = true;
                self.say(at, false, out);
            }
            wire::PUBCOMP => {
                tell!(self.plan.name, "PUBCOMP {id}");
                self.exchanges.remove(at);
            }
            _ => {}
        }
    }

    /// The next thing to say in this exchange.
    fn say(&self, at: usize, again: bool, out: &mut Vec<u8>) {
        let exchange = &self.exchanges[at];
        if exchange.received {
            return out.extend(wire::ack(wire::PUBREL, exchange.packet_id));
        }
        if again {
            tell!(self.plan.name, "PUBLISH {} again", exchange.id);
        }
        out.extend(self.publish(&exchange.sending, &exchange.id, exchange.packet_id, again));
    }

    fn publish(&self, sending: &Sending, id: &str, packet_id: u16, again: bool) -> Vec<u8> {
        let payload = sending.verb.payload(id, sending.padding);
        let publish = wire::publish(self.version, &self.topic(sending), payload).qos(sending.qos, packet_id);
        let publish = if sending.retain { publish.retain() } else { publish };
        if again { publish.dup() } else { publish }.encode()
    }

    fn topic(&self, sending: &Sending) -> String {
        let root = match sending.route {
            Route::Raw => "raw",
            Route::Cooked => "cooked",
            Route::Both => "both",
            Route::Staged => "staged",
            Route::StagedToo => "staged-too",
            Route::Local => "local",
        };
        // As many levels as a topic may have.
        let below = if sending.deep { "/x".repeat(MAX_LEVELS - 2) } else { String::new() };
        format!("{root}/{}{below}", self.plan.name)
    }

    /// What must become of it.
    fn due(&self, id: &str, sending: &Sending) -> Vec<(Place, String)> {
        let first = || Place::Upstream(self.upstreams[0].clone());
        match (sending.route, sending.verb) {
            (Route::Both, _) => {
                self.upstreams.iter().map(|name| (Place::Upstream(name.clone()), id.to_owned())).collect()
            }
            (Route::Cooked, Verb::Drop) | (Route::Local, _) => Vec::new(),
            (Route::Cooked, Verb::Fail) => vec![(Place::DeadLetters, id.to_owned())],
            (Route::Cooked, Verb::Two) => vec![(first(), format!("{id}.a")), (first(), format!("{id}.b"))],
            _ => vec![(first(), id.to_owned())],
        }
    }
}

/// The next packet; `None` when the other side has closed. Nothing is lost when it is dropped before its end.
pub async fn read(stream: &mut DuplexStream, input: &mut Vec<u8>) -> Option<Packet> {
    loop {
        if let Some(packet) = Packet::take(input) {
            return Some(packet);
        }
        let mut piece = [0; 1_024];
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => input.extend_from_slice(&piece[..read]),
        }
    }
}
