//! A device that sends a stream of messages as fast as its window allows, and tells the oracle what was acknowledged.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::eventually::SOON;
use crate::oracle::{Expected, Oracle};
use crate::raw::{Next, Raw};
use crate::wire::{self, PINGRESP, PUBACK, PUBCOMP, PUBREC, PUBREL};

/// Unacknowledged messages at a time; below the gateway's default Receive Maximum.
pub const WINDOW: usize = 20;

/// What the gateway makes of a message: topic and payload upstream, from the topic, the identity and the number here.
pub type Expect = fn(topic: &str, id: &str, number: usize) -> (String, String);

/// The gateway closed the connection.
#[derive(Debug)]
pub struct Cut;

pub struct Driver {
    raw: Raw,
    name: String,
    topic: String,
    qos: u8,
    expect: Expect,
    padding: String,
    window: usize,
    sent: usize,
    next_id: u16,
    /// By packet identifier, which rises with the order of sending: no driver sends more than there are.
    inflight: BTreeMap<u16, Flight>,
    acknowledged: usize,
    pongs: usize,
}

/// A message without its last ack.
struct Flight {
    message: String,
    packet: wire::Publish,
    /// The gateway has it: from here on only PUBREL is sent.
    received: bool,
}

// === impl Driver ===

impl Driver {
    /// Messages are `{"id":"NAME-NUMBER","n":NUMBER}`.
    pub fn new(raw: Raw, name: &str, topic: &str, qos: u8, expect: Expect) -> Self {
        let (name, topic) = (name.to_owned(), topic.to_owned());
        let inflight = BTreeMap::new();
        let (padding, window) = (String::new(), WINDOW);
        Self {
            raw,
            name,
            topic,
            qos,
            expect,
            padding,
            window,
            sent: 0,
            next_id: 1,
            inflight,
            acknowledged: 0,
            pongs: 0,
        }
    }

    /// So many unacknowledged messages at a time.
    pub fn window(self, window: usize) -> Self {
        Self { window, ..self }
    }

    /// Makes each message so many bytes larger: `{"id":"NAME-NUMBER","n":NUMBER,"pad":"..."}`.
    pub fn padded(self, bytes: usize) -> Self {
        Self { padding: format!(r#","pad":"{}"}}"#, "x".repeat(bytes)), ..self }
    }

    fn pad(&self, payload: String) -> String {
        match payload.strip_suffix('}') {
            Some(open) if !self.padding.is_empty() => format!("{open}{}", self.padding),
            _ => payload,
        }
    }

    /// Sends one more, when the window has room.
    pub fn try_send(&mut self, oracle: &mut Oracle) -> bool {
        if self.inflight.len() >= self.window {
            return false;
        }
        let id = format!("{}-{}", self.name, self.sent);
        let (topic, payload) = (self.expect)(&self.topic, &id, self.sent);
        let payload = self.pad(payload);
        oracle.sent(&id, &format!("{} {}", self.name, self.topic), Expected { topic, qos: self.qos, payload });
        let payload = self.pad(payload_of(&id, self.sent));
        let packet = wire::publish(self.raw.version(), &self.topic, payload).qos(self.qos, self.next_id);
        self.raw.send(&packet.encode());
        if self.qos > 0 {
            self.inflight.insert(self.next_id, Flight { message: id, packet, received: false });
        }
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.sent += 1;
        true
    }

    /// Sends until the window is full.
    pub fn fill_window(&mut self, oracle: &mut Oracle) {
        let mut has_room = true;
        while has_room {
            has_room = self.try_send(oracle);
        }
    }

    /// Sends `count` more and waits for every ack.
    pub fn send(&mut self, count: usize, oracle: &mut Oracle) {
        for _ in 0..count {
            while !self.try_send(oracle) {
                self.expect_ack(oracle);
            }
        }
        self.finish(oracle);
    }

    /// Waits for every ack.
    pub fn finish(&mut self, oracle: &mut Oracle) {
        while !self.inflight.is_empty() {
            self.expect_ack(oracle);
        }
    }

    fn expect_ack(&mut self, oracle: &mut Oracle) {
        let heard = self.listen(SOON, oracle);
        assert!(heard, "{}: {} messages without an ack", self.name, self.inflight.len());
    }

    /// Handles one packet, if one comes in time. Acks become obligations.
    pub fn listen(&mut self, patience: Duration, oracle: &mut Oracle) -> bool {
        self.try_listen(patience, oracle)
            .unwrap_or_else(|Cut| panic!("{}: the gateway closed the connection", self.name))
    }

    /// The same for a gateway that may die meanwhile.
    pub fn try_listen(&mut self, patience: Duration, oracle: &mut Oracle) -> Result<bool, Cut> {
        let packet = match self.raw.next(patience) {
            Next::Packet(packet) => packet,
            Next::Silence => return Ok(false),
            Next::Closed => return Err(Cut),
        };
        match packet.kind() {
            PUBREC => {
                self.inflight.entry(packet.packet_id()).and_modify(|flight| flight.received = true);
                self.raw.send(&wire::ack(PUBREL, packet.packet_id()));
            }
            PUBACK | PUBCOMP => {
                let Flight { message, .. } = self
                    .inflight
                    .remove(&packet.packet_id())
                    .unwrap_or_else(|| panic!("an ack for nothing: {packet:?}"));
                oracle.acknowledged(&message);
                self.acknowledged += 1;
            }
            PINGRESP => self.pongs += 1,
            _ => panic!("{}: unexpected {packet:?}", self.name),
        }
        Ok(true)
    }

    /// Goes on in the same session, on a new connection: everything unfinished is sent again [MQTT-4.4.0-1].
    pub fn resume(&mut self, raw: Raw) {
        self.raw = raw;
        for (packet_id, flight) in &self.inflight {
            if flight.received {
                self.raw.send(&wire::ack(PUBREL, *packet_id));
            } else {
                self.raw.send(&flight.packet.clone().dup().encode());
            }
        }
    }

    pub fn unacknowledged(&self) -> usize {
        self.inflight.len()
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    /// The device hears an answer to PINGREQ: it is held back, not cut off.
    pub fn ping(&mut self, oracle: &mut Oracle) {
        let (before, end) = (self.pongs, Instant::now() + SOON);
        self.raw.send(wire::PING);
        while self.pongs == before {
            self.listen(Duration::from_millis(100), oracle);
            assert!(Instant::now() < end, "{}: no answer to PINGREQ", self.name);
        }
    }
}

/// What a device sends.
pub fn payload_of(id: &str, number: usize) -> String {
    format!("{{\"id\":\"{id}\",\"n\":{number}}}")
}
