//! A local subscriber that keeps its session and comes back, until it leaves for good.

use std::collections::BTreeSet;
use std::time::Duration;

use tidegate_tests::wire::{self, Connect, Packet, Properties, V4, V5, Version, id};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep, sleep_until};

use super::broker::is_poison;
use super::coverage::happened;
use super::device::{Handle, SESSION_EXPIRY, read};
use super::fates::Fates;
use super::gate::Gate;
use super::oracle::{GROUP, Listener, Oracle};
use super::plan::SubscriberPlan;
use super::plugin;
use super::story::tell;

const SOME_YEARS: Duration = Duration::from_secs(100_000_000);

pub struct Subscriber {
    plan: SubscriberPlan,
    gate: Gate,
    oracle: Oracle,
    handle: Handle,
    version: Version,
    leaves_at: Option<Instant>,
    /// QoS 2 that has come and is not released.
    received: BTreeSet<u16>,
    is_subscribed: bool,
    /// Of those who hear wills, and nothing else.
    fates: Option<Fates>,
}

// === impl Subscriber ===

impl Subscriber {
    pub fn new(plan: &SubscriberPlan, gate: Gate, oracle: Oracle) -> Self {
        let version = if plan.version == 5 { V5 } else { V4 };
        let leaves_at = plan.leaves_at_ms.map(|ms| Instant::now() + Duration::from_millis(ms));
        let (plan, handle, received) = (plan.clone(), Handle::default(), BTreeSet::new());
        handle.is_done.store(true, std::sync::atomic::Ordering::Relaxed);
        Self { plan, gate, oracle, handle, version, leaves_at, received, is_subscribed: false, fates: None }
    }

    /// Who hears of deaths.
    pub fn of_wills(gate: Gate, oracle: Oracle, fates: Fates) -> Self {
        let plan =
            SubscriberPlan { name: "widow".to_owned(), version: 5, qos: 2, window: 100, ..SubscriberPlan::default() };
        Self { fates: Some(fates), ..Self::new(&plan, gate, oracle) }
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub async fn run(mut self) {
        let (cut, name) = (self.handle.cut.clone(), self.plan.name.clone());
        loop {
            let leaves_at = self.leaves_at.unwrap_or_else(|| Instant::now() + SOME_YEARS);
            match self.gate.connect() {
                Some(stream) if leaves_at <= Instant::now() => {
                    let has_left = self.leave(stream).await;
                    if has_left {
                        happened("a member of a group ends its session");
                        return tell!(name, "has ended its session");
                    }
                }
                Some(stream) => tokio::select! {
                    biased;
                    () = cut.notified() => tell!(name, "loses its connection"),
                    () = sleep_until(leaves_at) => {}
                    why = self.talk(stream) => tell!(name, "connection over: {why}"),
                },
                None => {}
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// A clean start, and no session after it.
    async fn leave(&self, mut stream: DuplexStream) -> bool {
        let mut input = Vec::new();
        let connect = Connect::new(self.version, &self.plan.name).encode();
        let is_sent = stream.write_all(&connect).await.is_ok();
        let answer = if is_sent { read(&mut stream, &mut input).await } else { None };
        answer.is_some_and(|connack| connack.reason() == 0)
    }

    fn filters(&self) -> Vec<(&'static str, u8)> {
        if self.fates.is_some() {
            return vec![("will/#", self.plan.qos)];
        }
        let local = if self.plan.is_member { "$share/group/local/#" } else { "local/#" };
        let raw = self.plan.hears_raw.then_some(("raw/#", self.plan.qos));
        std::iter::once((local, self.plan.qos)).chain(raw).collect()
    }

    async fn talk(&mut self, mut stream: DuplexStream) -> &'static str {
        let mut input = Vec::new();
        let mut connect = Connect::new(self.version, &self.plan.name).persistent(SESSION_EXPIRY);
        if self.version == V5 {
            connect = connect.with(|properties| properties.short(id::RECEIVE_MAXIMUM, self.plan.window));
        }
        if stream.write_all(&connect.encode()).await.is_err() {
            return "closed";
        }
        let Some(connack) = read(&mut stream, &mut input).await else { return "no CONNACK" };
        if connack.reason() != 0 {
            return "refused";
        }
        self.begin(connack.session_present());
        let subscribe = wire::subscribe(self.version, 1, &Properties::new(), &self.filters());
        if !self.is_subscribed && stream.write_all(&subscribe).await.is_err() {
            return "closed";
        }
        loop {
            let Some(packet) = read(&mut stream, &mut input).await else { return "closed" };
            match self.hear(&packet).await {
                Err(why) => return why,
                Ok(answer) if stream.write_all(&answer).await.is_err() => return "closed",
                Ok(_) => {}
            }
        }
    }

    fn begin(&mut self, present: bool) {
        tell!(self.plan.name, "connected, session present {present}");
        if !present {
            self.received.clear();
            if self.is_subscribed {
                self.oracle.broken(format!("the session of {} was forgotten", self.plan.name));
            }
        }
    }

    /// What to answer.
    async fn hear(&mut self, packet: &Packet) -> Result<Vec<u8>, &'static str> {
        match packet.kind() {
            wire::SUBACK => self.subscribed(),
            wire::PUBLISH => return self.take(packet).await,
            wire::PUBREL => {
                self.received.remove(&packet.packet_id());
                return Ok(wire::ack(wire::PUBCOMP, packet.packet_id()));
            }
            wire::DISCONNECT => return Err("told to leave"),
            _ => {}
        }
        Ok(Vec::new())
    }

    /// From now on it is owed something.
    fn subscribed(&mut self) {
        let SubscriberPlan { qos, is_member, hears_raw, hates_poison, leaves_at_ms, .. } = self.plan;
        self.is_subscribed = true;
        tell!(self.plan.name, "has subscribed");
        if let Some(fates) = &self.fates {
            return fates.subscribed();
        }
        if leaves_at_ms.is_none() {
            let name = if is_member { GROUP } else { &self.plan.name };
            self.oracle.listens(name, Listener { qos, hears_raw, hates_poison });
        }
    }

    async fn take(&mut self, packet: &Packet) -> Result<Vec<u8>, &'static str> {
        let message = packet.delivered(self.version);
        let (text, _) = plugin::read(message.payload.as_bytes());
        sleep(Duration::from_millis(self.plan.slow_ms)).await;
        if self.plan.hates_poison && is_poison(&message.payload) {
            happened("a subscriber closes on a message");
            return Err("it closes on a message that it does not like");
        }
        let is_new = message.qos < 2 || self.received.insert(message.packet_id);
        tell!(
            self.plan.name,
            "gets {text} QoS {} id {}{}",
            message.qos,
            message.packet_id,
            if is_new { "" } else { " again" }
        );
        if let Some(fates) = self.fates.as_ref().filter(|_| is_new) {
            fates.published(&text);
        } else if is_new {
            self.oracle.arrived(if self.plan.is_member { GROUP } else { &self.plan.name }, &text);
        }
        Ok(match message.qos {
            0 => Vec::new(),
            1 => wire::ack(wire::PUBACK, message.packet_id),
            _ => wire::ack(wire::PUBREC, message.packet_id),
        })
    }
}
