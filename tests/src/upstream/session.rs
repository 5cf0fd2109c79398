//! What the server remembers: its clients' sessions, and what arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{Shutdown, TcpStream};

use crate::wire::{self, CONNECT, Cursor, Delivered, PINGREQ, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL};
use crate::wire::{Packet, Properties, UNSUBACK, UNSUBSCRIBE, V4, V5, Version, id};

#[derive(Default)]
pub struct State {
    pub forgets: bool,
    /// Nobody is served.
    pub away: bool,
    /// Topics with this in them, and the reason.
    pub refuses: Option<(String, u8)>,
    /// Topics with this in them, and the last words: a PUBLISH on one of them ends the connection.
    pub ends: Option<(String, Vec<u8>)>,
    /// Topics with this in them, and what comes of the PUBREL of a message on one of them.
    pub stumbles: Option<(String, Stumble)>,
    /// Packet ids of such messages.
    stumbling: BTreeSet<u16>,
    /// PUBACK for QoS 2, PUBREC for QoS 1.
    pub mixes_acks: bool,
    /// The Maximum QoS that CONNACK tells, when it is not 2. MQTT 5.
    pub maximum_qos: Option<u8>,
    holds_acks: bool,
    /// Acks that wait, with the connection that they are for.
    held: Vec<(u64, Vec<u8>)>,
    pub arrivals: Vec<Delivered>,
    pub takeovers: usize,
    pub connects: BTreeMap<String, usize>,
    /// Packet ids of QoS 2 that were received and not released, by client.
    sessions: BTreeMap<String, BTreeSet<u16>>,
    connections: BTreeMap<u64, Connection>,
    next: u64,
}

struct Connection {
    client_id: String,
    version: Version,
    stream: TcpStream,
}

/// What a server does instead of a PUBCOMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stumble {
    Closes,
    SaysNothing,
}

/// A client that was let in.
pub struct Client {
    pub number: u64,
    pub version: Version,
    client_id: String,
    keeps: bool,
}

// === impl State ===

impl State {
    /// CONNECT, and its CONNACK.
    pub fn connect(&mut self, packet: &Packet, stream: TcpStream) -> (Client, Vec<u8>) {
        assert_eq!(packet.kind(), CONNECT, "the first packet of a client [MQTT-3.1.0-1]");
        let mut cursor = Cursor::new(&packet.body);
        cursor.text();
        let version = if cursor.byte() == 5 { V5 } else { V4 };
        let clean = cursor.byte() & 0x02 != 0;
        cursor.short();
        let properties = if version == V5 { Properties::read(&mut cursor) } else { Properties::new() };
        let client_id = cursor.text();
        let keeps = if version == V5 { properties.number(id::SESSION_EXPIRY).unwrap_or(0) > 0 } else { !clean };

        self.take_over(&client_id);
        if clean || self.forgets {
            self.stumbling.clear();
            self.sessions.remove(&client_id);
        }
        let present = self.sessions.contains_key(&client_id);
        self.sessions.entry(client_id.clone()).or_default();
        *self.connects.entry(client_id.clone()).or_default() += 1;
        self.next += 1;
        self.connections.insert(self.next, Connection { client_id: client_id.clone(), version, stream });
        let mut body = vec![present.into(), 0];
        if version == V5 {
            let terms = self.maximum_qos.iter().fold(Properties::new(), |terms, qos| terms.byte(id::MAXIMUM_QOS, *qos));
            body.extend(terms.encode());
        }
        (Client { number: self.next, version, client_id, keeps }, wire::packet(0x20, &body))
    }

    fn take_over(&mut self, client_id: &str) {
        let before = self.connections.len();
        self.connections.retain(|_, connection| {
            let stays = connection.client_id != client_id;
            if !stays {
                // MQTT 5 says why [MQTT-3.1.4-3]; whoever has gone needs no farewell.
                let farewell: &[u8] = if connection.version == V5 { b"\xE0\x01\x8E" } else { b"" };
                let _ = connection.stream.write_all(farewell);
                let _ = connection.stream.shutdown(Shutdown::Both);
            }
            stays
        });
        self.takeovers += before - self.connections.len();
    }

    /// What the client's packet is answered with. `None` when it has left, or was taken over.
    pub fn answer(&mut self, client: &Client, packet: &Packet) -> Option<Vec<u8>> {
        self.connections.get(&client.number).filter(|_| !self.away)?;
        let answer = match packet.kind() {
            PUBLISH if self.ends_on(client, packet) => return None,
            PUBLISH => self.publish(client, packet.delivered(client.version)),
            PUBREL if self.stumbling.contains(&packet.packet_id()) => {
                let says_nothing = self.stumbles.as_ref().is_some_and(|(_, how)| *how == Stumble::SaysNothing);
                if !says_nothing {
                    self.close(client, &[]);
                }
                return says_nothing.then(Vec::new);
            }
            PUBREL => {
                self.session(client).remove(&packet.packet_id());
                wire::ack(PUBCOMP, packet.packet_id())
            }
            // A bridge makes sure that it is not subscribed to what it sends.
            UNSUBSCRIBE => wire::packet(UNSUBACK << 4, &packet.packet_id().to_be_bytes()),
            PINGREQ => return Some(b"\xD0\0".to_vec()),
            wire::DISCONNECT => return None,
            kind => panic!("a client without subscriptions does not send packets of type {kind}"),
        };
        if self.holds_acks {
            self.held.push((client.number, answer));
            return Some(Vec::new());
        }
        Some(answer)
    }

    fn ends_on(&mut self, client: &Client, packet: &Packet) -> bool {
        let topic = packet.delivered(client.version).topic;
        let Some((_, last_words)) = self.ends.clone().filter(|(part, _)| topic.contains(part)) else { return false };
        self.close(client, &last_words);
        true
    }

    fn close(&mut self, client: &Client, last_words: &[u8]) {
        if let Some(connection) = self.connections.get_mut(&client.number) {
            let _ = connection.stream.write_all(last_words);
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }

    fn publish(&mut self, client: &Client, delivered: Delivered) -> Vec<u8> {
        let (qos, packet_id) = (delivered.qos, delivered.packet_id);
        if let Some((_, reason)) = self.refuses.as_ref().filter(|(part, _)| qos > 0 && delivered.topic.contains(part)) {
            let kind = if qos == 1 { PUBACK } else { PUBREC };
            let [high, low] = packet_id.to_be_bytes();
            return wire::packet(kind << 4, &[high, low, *reason]);
        }
        if qos == 2 && self.stumbles.as_ref().is_some_and(|(part, _)| delivered.topic.contains(part)) {
            self.stumbling.insert(packet_id);
        }
        if qos < 2 || self.session(client).insert(packet_id) {
            self.arrivals.push(delivered);
        }
        match qos {
            0 => Vec::new(),
            1 if self.mixes_acks => wire::ack(PUBREC, packet_id),
            2 if self.mixes_acks => wire::ack(PUBACK, packet_id),
            1 => wire::ack(PUBACK, packet_id),
            _ => wire::ack(PUBREC, packet_id),
        }
    }

    fn session(&mut self, client: &Client) -> &mut BTreeSet<u16> {
        self.sessions.entry(client.client_id.clone()).or_default()
    }

    pub fn disconnected(&mut self, client: &Client) {
        // One that was taken over has nothing to forget: the session is another connection's.
        if self.connections.remove(&client.number).is_some() && !client.keeps {
            self.sessions.remove(&client.client_id);
        }
    }

    pub fn hold(&mut self, hold: bool) {
        self.holds_acks = hold;
        if !hold {
            for (number, ack) in std::mem::take(&mut self.held) {
                if let Some(connection) = self.connections.get_mut(&number) {
                    let _ = connection.stream.write_all(&ack);
                }
            }
        }
    }

    pub fn connected(&self) -> Vec<String> {
        self.connections.values().map(|connection| connection.client_id.clone()).collect()
    }

    pub fn disconnect_all(&mut self) {
        self.connections.values().for_each(|connection| drop(connection.stream.shutdown(Shutdown::Both)));
    }
}
