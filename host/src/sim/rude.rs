//! A device of 3.1.1 that sends QoS 2 and never ends an exchange. What it may keep open is bounded, or it would fill the spool.

use std::collections::BTreeSet;
use std::time::Duration;

use tidegate_tests::wire::{self, Connect, V4};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::sleep;

use super::coverage::happened;
use super::device::read;
use super::gate::Gate;
use super::oracle::Oracle;
use super::story::tell;

/// As many times `receive_maximum` as the session allows.
const BOUND: usize = 10;

pub struct Rude {
    pub gate: Gate,
    pub oracle: Oracle,
    pub receive_maximum: u16,
}

// === impl Rude ===

impl Rude {
    /// For ever: nobody waits for it.
    pub async fn run(self) {
        let mut open = BTreeSet::new();
        loop {
            if let Some(stream) = self.gate.connect() {
                self.talk(stream, &mut open).await;
            }
            sleep(Duration::from_secs(2)).await;
        }
    }

    async fn talk(&self, mut stream: DuplexStream, open: &mut BTreeSet<u16>) {
        let most = usize::from(self.receive_maximum) * BOUND;
        let (connect, mut input) = (Connect::new(V4, "rude").persistent(0).encode(), Vec::new());
        if stream.write_all(&connect).await.is_err() || read(&mut stream, &mut input).await.is_none() {
            return;
        }
        let mut next = open.last().map_or(1, |last| last + 1);
        loop {
            let publish = wire::publish(V4, "nowhere", "never ended").qos(2, next).encode();
            if stream.write_all(&publish).await.is_err() {
                return;
            }
            let Some(packet) = read(&mut stream, &mut input).await else {
                happened("a device is told that it has too much open");
                return;
            };
            if packet.kind() == wire::PUBREC {
                open.insert(packet.packet_id());
                next += 1;
            }
            if open.len() > most {
                tell!("rude", "has {} exchanges open", open.len());
                return self.oracle.broken(format!("a device of 3.1.1 has more than {most} QoS 2 exchanges open"));
            }
        }
    }
}
