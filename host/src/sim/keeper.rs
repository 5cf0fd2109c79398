//! A device that keeps the state of its topics: retained values, one after the other, some of them without a payload.

use std::time::Duration;

use tidegate_tests::wire::{self, Connect, Packet, V4, V5, Version};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::sleep;

use super::coverage::happened;
use super::device::{Handle, SESSION_EXPIRY, read};
use super::gate::Gate;
use super::plan::{KeeperPlan, ValuePlan};
use super::shelf::Shelf;
use super::story::tell;

pub struct Keeper {
    plan: KeeperPlan,
    gate: Gate,
    shelf: Shelf,
    handle: Handle,
    version: Version,
    next: usize,
    /// The one of now is sent, and received at QoS 2.
    is_sent: bool,
    is_received: bool,
}

// === impl Keeper ===

impl Keeper {
    pub fn new(plan: &KeeperPlan, gate: Gate, shelf: Shelf) -> Self {
        let version = if plan.version == 5 { V5 } else { V4 };
        let (plan, handle) = (plan.clone(), Handle::default());
        Self { plan, gate, shelf, handle, version, next: 0, is_sent: false, is_received: false }
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub async fn run(mut self) {
        while self.next < self.plan.values.len() {
            if let Some(stream) = self.gate.connect() {
                let why = self.talk(stream).await;
                tell!(self.plan.name, "connection over: {why}");
            }
            sleep(Duration::from_millis(200)).await;
        }
        self.handle.is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    async fn talk(&mut self, mut stream: DuplexStream) -> &'static str {
        let mut input = Vec::new();
        let connect = Connect::new(self.version, &self.plan.name).persistent(SESSION_EXPIRY).encode();
        if stream.write_all(&connect).await.is_err() {
            return "closed";
        }
        if read(&mut stream, &mut input).await.is_none_or(|connack| connack.reason() != 0) {
            return "not let in";
        }
        while let Some(value) = self.plan.values.get(self.next).cloned() {
            if !self.is_sent {
                sleep(Duration::from_millis(value.pause_ms)).await;
            }
            if stream.write_all(&self.say(&value)).await.is_err() {
                return "closed";
            }
            while !self.is_over(&value) {
                let Some(packet) = read(&mut stream, &mut input).await else { return "closed" };
                let answer = self.hear(&packet, &value);
                if stream.write_all(&answer).await.is_err() {
                    return "closed";
                }
            }
        }
        "done"
    }

    fn topic(&self, value: &ValuePlan) -> String {
        format!("state/{}/{}", self.plan.name, value.topic)
    }

    /// PUBLISH, or what is left of its exchange.
    fn say(&mut self, value: &ValuePlan) -> Vec<u8> {
        if self.is_received {
            return wire::ack(wire::PUBREL, 1);
        }
        let (topic, again) = (self.topic(value), std::mem::replace(&mut self.is_sent, value.qos > 0));
        let text = (!value.clears).then(|| format!("{}-{}", self.plan.name, self.next));
        tell!(
            self.plan.name,
            "PUBLISH {topic} QoS {} retained {text:?}{}",
            value.qos,
            if again { " again" } else { "" }
        );
        if !again {
            self.shelf.sent(&topic, text.clone());
        }
        if value.qos == 0 {
            self.next += 1;
        }
        let publish =
            wire::publish(self.version, &topic, text.unwrap_or_default()).qos(value.qos, u16::from(value.qos > 0));
        if again { publish.retain().dup() } else { publish.retain() }.encode()
    }

    fn is_over(&self, value: &ValuePlan) -> bool {
        value.qos == 0 || !self.is_sent
    }

    fn hear(&mut self, packet: &Packet, value: &ValuePlan) -> Vec<u8> {
        let (topic, is_taken) = (self.topic(value), packet.reason() < 0x80);
        match packet.kind() {
            wire::PUBACK | wire::PUBREC if is_taken && !self.is_received => {
                happened(if value.clears { "a retained message is cleared" } else { "a message is retained" });
                tell!(self.plan.name, "acknowledged: {topic}");
                self.shelf.acked(&topic);
            }
            _ => {}
        }
        match packet.kind() {
            wire::PUBREC if is_taken => {
                self.is_received = true;
                return wire::ack(wire::PUBREL, 1);
            }
            wire::PUBACK | wire::PUBREC | wire::PUBCOMP => {
                (self.is_sent, self.is_received) = (false, false);
                self.next += 1;
            }
            _ => {}
        }
        Vec::new()
    }
}
