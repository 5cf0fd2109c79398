//! The other side: somebody who sends what the protocol allows and nobody needs, and counts how it is refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tidegate_tests::raw::{Next, Raw};
use tidegate_tests::wire::{CONNACK, Connect, DISCONNECT, PUBACK, PUBREC, Packet, Publish, SUBACK, V5, publish};

/// A gateway may hold back who sends so much. It is then somebody else's turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// For an answer that is due.
const ANSWER: Duration = Duration::from_secs(30);

/// The Receive Maximum of a gateway, unless it is configured.
const WINDOW: usize = 100;

pub struct Attack {
    pub gateway: SocketAddr,
    pub sent: usize,
    started: Instant,
    refused: BTreeMap<String, usize>,
    /// Connections that stay until all is measured.
    held: Vec<Raw>,
}

// === impl Attack ===

impl Attack {
    pub fn new(gateway: SocketAddr) -> Self {
        Self { gateway, sent: 0, started: Instant::now(), refused: BTreeMap::new(), held: Vec::new() }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Of a clean session, unless it is refused.
    pub fn client(&mut self, id: &str) -> Option<Raw> {
        self.connect(&Connect::new(V5, id))
    }

    pub fn connect(&mut self, connect: &Connect) -> Option<Raw> {
        let mut raw = Raw::try_open(self.gateway, V5)?;
        self.send(&mut raw, &connect.encode());
        let connack = self.answer(&mut raw)?;
        (connack.kind() == CONNACK && connack.reason() == 0).then_some(raw)
    }

    /// Whether all of it was taken.
    pub fn send(&mut self, raw: &mut Raw, bytes: &[u8]) -> bool {
        let taken = raw.send_within(bytes, PATIENCE);
        self.sent += taken;
        taken == bytes.len()
    }

    /// The next packet, when there is one in time.
    pub fn answer(&mut self, raw: &mut Raw) -> Option<Packet> {
        match raw.next(ANSWER) {
            Next::Packet(packet) => {
                self.note(&packet);
                Some(packet)
            }
            Next::Closed => {
                self.note_close();
                None
            }
            Next::Silence => None,
        }
    }

    /// What was sent before it has been taken.
    pub fn fence(&mut self, raw: &mut Raw) {
        self.send(raw, &publish(V5, "done", "1").qos(1, 1).encode());
        self.answer(raw);
    }

    /// At QoS 1 from a device of its own, a window at a time.
    pub fn publish_acknowledged(&mut self, message: &Publish, times: u16) {
        let Some(mut raw) = self.client("publishing") else { return };
        for first in (1..=times).step_by(WINDOW) {
            let packets = (first..).take(WINDOW).map(|packet_id| message.clone().qos(1, packet_id).encode());
            self.send(&mut raw, &packets.collect::<Vec<_>>().concat());
            for _ in 0..WINDOW {
                self.answer(&mut raw);
            }
        }
        self.hold(raw);
    }

    /// A gateway that holds a device back says nothing.
    pub fn is_answered_soon(&mut self, raw: &mut Raw) -> bool {
        match raw.next(PATIENCE) {
            Next::Packet(packet) => {
                self.note(&packet);
                true
            }
            _ => false,
        }
    }

    pub fn hold(&mut self, raw: Raw) {
        self.held.push(raw);
    }

    /// Hears what was said to those that are held; those that were closed go.
    pub fn listen(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        held.retain_mut(|raw| self.stays(raw));
        self.held = held;
    }

    fn stays(&mut self, raw: &mut Raw) -> bool {
        loop {
            match raw.next(Duration::from_millis(1)) {
                Next::Packet(packet) => {
                    self.note(&packet);
                    if packet.kind() == DISCONNECT {
                        return false;
                    }
                }
                Next::Closed => {
                    self.note_close();
                    return false;
                }
                Next::Silence => return true,
            }
        }
    }

    /// `SUBACK 0x97 12 times`; nothing when all was taken.
    pub fn refusals(&self) -> String {
        let refusals = self.refused.iter().map(|(what, times)| format!("{what} {times} times"));
        refusals.collect::<Vec<_>>().join(", ")
    }

    /// Without a word.
    fn note_close(&mut self) {
        *self.refused.entry("closed".into()).or_default() += 1;
    }

    fn note(&mut self, packet: &Packet) {
        let (name, codes) = match packet.kind() {
            CONNACK => ("CONNACK", vec![packet.reason()]),
            DISCONNECT => ("DISCONNECT", vec![packet.reason()]),
            PUBACK => ("PUBACK", vec![packet.reason()]),
            PUBREC => ("PUBREC", vec![packet.reason()]),
            SUBACK => ("SUBACK", packet.codes(V5)),
            _ => return,
        };
        for code in codes.into_iter().filter(|code| *code >= 0x80) {
            *self.refused.entry(format!("{name} {code:#04X}").replace("0X", "0x")).or_default() += 1;
        }
    }
}
