//! One connection of the gateway to a broker.

use std::collections::BTreeSet;
use std::time::Duration;

use tidegate_tests::wire::{self, Delivered, Packet, Properties, V5, Version, id};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::sleep;

use super::super::coverage::happened;
use super::super::plugin;
use super::super::story::tell;
use super::{Broker, Mood, Terms, is_poison};

/// Properties of CONNACK.
const SERVER_KEEP_ALIVE: u8 = 0x13;
const MAXIMUM_QOS: u8 = 0x24;
const RETAIN_AVAILABLE: u8 = 0x25;

pub struct Connection {
    broker: Broker,
    stream: DuplexStream,
    input: Vec<u8>,
    version: Version,
    terms: Terms,
    client: String,
    /// A session that began clean ends with its connection.
    keeps: bool,
    /// What counts against our Receive Maximum.
    open: BTreeSet<u16>,
}

type End = Option<&'static str>;

impl Connection {
    pub fn new(broker: Broker, stream: DuplexStream, version: Version, terms: Terms) -> Self {
        let (input, client, open) = (Vec::new(), String::new(), BTreeSet::new());
        Self { broker, stream, input, version, terms, client, keeps: true, open }
    }

    pub async fn serve(mut self) {
        let (cut, vanish) = (self.broker.cut.clone(), self.broker.vanish.clone());
        let name = self.broker.host.clone();
        tokio::select! {
            biased;
            () = cut.notified() => tell!(name, "cuts the connection"),
            () = vanish.notified() => {
                tell!(name, "vanishes");
                happened("an upstream vanishes");
                // Its end of the stream is held for ever.
                return std::future::pending().await;
            }
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
            happened("an upstream does not read");
            changed.await;
        }
    }

    /// Why the connection is over, when it is.
    async fn hear(&mut self, packet: &Packet) -> End {
        let mood = self.broker.state().mood.clone();
        let takes = mood.slow_ms + self.broker.plan.latency_ms;
        if takes > 0 {
            sleep(Duration::from_millis(takes)).await;
        }
        match packet.kind() {
            wire::CONNECT => self.connect(packet).await,
            wire::PUBLISH => self.publish(packet, &mood).await,
            wire::PUBREL => self.release(packet.packet_id(), &mood).await,
            wire::PINGREQ => {
                self.say(b"\xD0\0").await;
                None
            }
            wire::DISCONNECT => Some("the gateway says good-bye"),
            _ => Some("a packet that makes no sense"),
        }
    }

    async fn connect(&mut self, packet: &Packet) -> End {
        let mut cursor = wire::Cursor::new(&packet.body);
        let (_, _, flags, _) = (cursor.text(), cursor.byte(), cursor.byte(), cursor.short());
        if self.version == V5 {
            Properties::read(&mut cursor);
        }
        self.client = cursor.text();
        let clean = flags & 2 != 0;
        self.keeps = !clean;
        let present = self.broker.state().attach(&self.client, clean);
        tell!(self.broker.host, "CONNECT of {} clean {clean}: session present {present}", self.client);
        let mut body = vec![u8::from(present), 0];
        if self.version == V5 {
            body.extend(self.properties().encode());
        }
        self.say(&wire::packet(0x20, &body)).await;
        None
    }

    /// Of CONNACK.
    fn properties(&self) -> Properties {
        let Terms { max_qos, retain, receive_maximum, packet_size } = self.terms;
        let mut properties = Properties::new().short(id::RECEIVE_MAXIMUM, receive_maximum);
        if max_qos < 2 {
            properties = properties.byte(MAXIMUM_QOS, max_qos);
        }
        if !retain {
            properties = properties.byte(RETAIN_AVAILABLE, 0);
        }
        if let Some(bytes) = packet_size {
            properties = properties.long(id::MAXIMUM_PACKET_SIZE, bytes);
        }
        if let Some(seconds) = self.broker.plan.server_keep_alive {
            properties = properties.short(SERVER_KEEP_ALIVE, seconds);
        }
        properties
    }

    /// What the terms forbid. Nobody may send it, so that it is a fault of the gateway.
    fn forbidden(&mut self, message: &Delivered, bytes: usize) -> End {
        if self.version != V5 {
            return None;
        }
        if message.qos > 0 {
            self.open.insert(message.packet_id);
        }
        if message.qos > self.terms.max_qos {
            return Some("DISCONNECT 0x9B: QoS not supported");
        }
        if message.retain && !self.terms.retain {
            return Some("DISCONNECT 0x9A: retain not supported");
        }
        if self.terms.packet_size.is_some_and(|most| bytes > most as usize) {
            return Some("DISCONNECT 0x95: packet too large");
        }
        (self.open.len() > usize::from(self.terms.receive_maximum))
            .then_some("DISCONNECT 0x93: receive maximum exceeded")
    }

    async fn publish(&mut self, packet: &Packet, mood: &Mood) -> End {
        let message = packet.delivered(self.version);
        let (text, _) = plugin::read(message.payload.as_bytes());
        if self.broker.is_mute {
            happened("an address acknowledges nothing");
            tell!(self.broker.host, "does not answer {text}");
            return None;
        }
        let is_late = self.broker.plan.hates_late && message.qos == 2;
        if self.broker.plan.hates_poison && !is_late && is_poison(&message.payload) {
            happened("an upstream closes on a message");
            return Some("it closes on a message that it does not like");
        }
        if let Some(why) = self.forbidden(&message, packet_size(packet)) {
            self.broker.oracle.broken(format!("{} gets {text}, which its terms forbid: {why}", self.broker.host));
            return Some(why);
        }
        self.take(&message, &text, mood).await;
        None
    }

    async fn take(&mut self, message: &Delivered, text: &str, mood: &Mood) {
        let (name, qos, id) = (self.broker.host.clone(), message.qos, message.packet_id);
        if qos > 0 && self.version == V5 && self.broker.throw(mood.refuses) {
            happened("a message is refused by an ack");
            tell!(name, "refuses {text} at QoS {qos}, id {id}");
            let kind = if qos == 1 { wire::PUBACK } else { wire::PUBREC };
            self.open.remove(&id);
            self.broker.oracle.refused(&self.broker.plan.name, text);
            return self.say(&wire::packet(kind << 4, &[(id >> 8) as u8, id as u8, 0x99, 0])).await;
        }
        if self.broker.plan.hates_poison && is_poison(&message.payload) {
            self.broker.state().poisoned.insert(id);
        }
        let is_new = qos < 2 || self.broker.state().sessions.entry(self.client.clone()).or_default().insert(id);
        if is_new {
            self.broker.oracle.arrived(&self.broker.plan.name, text);
        }
        let (dup, again) = (if message.dup { " DUP" } else { "" }, if is_new { "" } else { " again" });
        tell!(name, "PUBLISH {text} QoS {qos} id {id}{dup}{again}");
        if let Some(kind) = kind_of_ack(qos, mood.wrong_acks) {
            self.acknowledge(kind, id, text, mood).await;
        }
    }

    async fn acknowledge(&mut self, kind: u8, id: u16, text: &str, mood: &Mood) {
        if mood.wrong_acks {
            happened("the wrong ack");
        }
        if kind == wire::PUBACK {
            let client = self.client.clone();
            self.broker.state().sessions.entry(client).or_default().remove(&id);
        }
        if self.broker.throw(mood.loses_acks) {
            happened("an ack is lost");
            return tell!(self.broker.host, "loses the ack of {text}");
        }
        if kind == wire::PUBACK {
            self.open.remove(&id);
        }
        self.say(&wire::ack(kind, id)).await;
    }

    async fn release(&mut self, id: u16, mood: &Mood) -> End {
        let client = self.client.clone();
        if self.broker.state().poisoned.contains(&id) {
            happened("an upstream closes on a PUBREL");
            return Some("it closes on the PUBREL of a message that it does not like");
        }
        self.broker.state().sessions.entry(client).or_default().remove(&id);
        if self.broker.throw(mood.loses_acks) {
            happened("an ack is lost");
        } else {
            self.open.remove(&id);
            self.say(&wire::ack(wire::PUBCOMP, id)).await;
        }
        None
    }

    async fn say(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }
}

fn kind_of_ack(qos: u8, wrong: bool) -> Option<u8> {
    match (qos, wrong) {
        (0, _) => None,
        (1, false) | (2, true) => Some(wire::PUBACK),
        _ => Some(wire::PUBREC),
    }
}

/// As it was on the wire.
fn packet_size(packet: &Packet) -> usize {
    wire::packet(packet.first, &packet.body).len()
}
