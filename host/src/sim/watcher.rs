//! Comes without a session, subscribes to all that is retained, and compares the answer with what the devices were promised.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidegate_tests::wire::{self, Connect, Properties, V4, V5, Version};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

use super::coverage::happened;
use super::device::{Handle, read};
use super::gate::Gate;
use super::oracle::Oracle;
use super::plan::{FAULTS_END_MS, WatcherPlan};
use super::shelf::Shelf;
use super::story::tell;

/// Longer than an answer takes that has begun.
const QUIET: Duration = Duration::from_secs(2);

pub struct Watcher {
    plan: WatcherPlan,
    gate: Gate,
    oracle: Oracle,
    shelf: Shelf,
    handle: Handle,
    version: Version,
    begun: Instant,
}

// === impl Watcher ===

impl Watcher {
    pub fn new(plan: &WatcherPlan, gate: Gate, oracle: Oracle, shelf: Shelf) -> Self {
        let version = if plan.version == 5 { V5 } else { V4 };
        let (plan, handle, begun) = (plan.clone(), Handle::default(), Instant::now());
        Self { plan, gate, oracle, shelf, handle, version, begun }
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Until it has seen what is there after the last fault.
    pub async fn run(self) {
        loop {
            sleep(Duration::from_millis(self.plan.every_ms)).await;
            let is_last = self.begun.elapsed() > Duration::from_millis(FAULTS_END_MS + 3_000);
            let Some(stream) = self.gate.connect() else { continue };
            if self.visit(stream).await.is_some() && is_last {
                return self.handle.is_done.store(true, Ordering::Relaxed);
            }
        }
    }

    /// `None` when the connection ended before the answer did.
    async fn visit(&self, mut stream: DuplexStream) -> Option<()> {
        let mut input = Vec::new();
        stream.write_all(&Connect::new(self.version, &self.plan.name).encode()).await.ok()?;
        read(&mut stream, &mut input).await.filter(|connack| connack.reason() == 0)?;
        let floors = self.shelf.floors();
        let subscribe = wire::subscribe(self.version, 1, &Properties::new(), &[("state/#", 1)]);
        stream.write_all(&subscribe).await.ok()?;
        let (mut answer, mut is_subscribed) = (BTreeMap::new(), false);
        loop {
            let packet = match timeout(QUIET, read(&mut stream, &mut input)).await {
                Ok(packet) => packet?,
                Err(_) if is_subscribed => break,
                Err(_) => continue,
            };
            is_subscribed |= packet.kind() == wire::SUBACK;
            if packet.kind() == wire::PUBLISH {
                let message = packet.delivered(self.version);
                if message.qos == 1 {
                    stream.write_all(&wire::ack(wire::PUBACK, message.packet_id)).await.ok()?;
                }
                if message.retain {
                    answer.insert(message.topic, message.payload);
                }
            }
        }
        happened("somebody looks at what is retained");
        tell!(self.plan.name, "finds {answer:?}");
        self.shelf.judge(&floors, &answer).into_iter().for_each(|wrong| self.oracle.broken(wrong));
        Some(())
    }
}
