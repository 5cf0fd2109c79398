//! A device with a will: it lives, dies or says good-bye, and comes back or does not.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tidegate_tests::wire::{self, Connect, Properties, V4, V5, Version, Will};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep, sleep_until};

use super::coverage::happened;
use super::device::{Handle, read};
use super::fates::{End, Fates};
use super::gate::Gate;
use super::plan::{FAULTS_END_MS, LifeEnd, LifePlan, MortalPlan};
use super::story::tell;

/// From then on nobody is born.
const LAST_BIRTH: Duration = Duration::from_millis(FAULTS_END_MS + 5_000);
/// By then each will has been due, whatever the process went through.
const LAST_WILL: Duration = Duration::from_millis(FAULTS_END_MS + 60_000);

pub struct Mortal {
    plan: MortalPlan,
    gate: Gate,
    fates: Fates,
    handle: Handle,
    version: Version,
    begun: Instant,
    /// Connections that were tried, each with a will of its own.
    tries: usize,
    last_will: String,
}

// === impl Mortal ===

impl Mortal {
    pub fn new(plan: &MortalPlan, gate: Gate, fates: Fates) -> Self {
        let version = if plan.version == 5 { V5 } else { V4 };
        let (plan, handle, begun) = (plan.clone(), Handle::default(), Instant::now());
        Self { plan, gate, fates, handle, version, begun, tries: 0, last_will: String::new() }
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub async fn run(mut self) {
        sleep(Duration::from_millis(self.plan.first_at_ms)).await;
        for life in self.plan.lives.clone() {
            self.live(&life).await;
            let Some(back_ms) = life.back_ms else { break };
            sleep(Duration::from_millis(back_ms)).await;
        }
        sleep_until(self.begun + LAST_WILL).await;
        self.handle.is_done.store(true, Ordering::Relaxed);
    }

    /// As soon as it is let in.
    async fn live(&mut self, life: &LifePlan) {
        while self.begun.elapsed() < LAST_BIRTH {
            if let Some(stream) = self.gate.connect()
                && self.connect(stream, life).await.is_some()
            {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// `None` when it was not let in.
    async fn connect(&mut self, mut stream: DuplexStream, life: &LifePlan) -> Option<()> {
        self.tries += 1;
        let MortalPlan { name, qos, delay, expiry, .. } = self.plan.clone();
        let (text, mut input) = (format!("{name}.{}", self.tries), Vec::new());
        self.fates.tries(&self.last_will);
        stream.write_all(&self.packet(&text)).await.ok()?;
        read(&mut stream, &mut input).await.filter(|connack| connack.reason() == 0)?;
        self.fates.is_back(&self.last_will);
        self.fates.begins(&text, qos, delay, expiry);
        tell!(name, "connected with the will {text} at QoS {qos}, delay {delay} s, expiry {expiry} s");
        self.last_will = text.clone();
        tokio::select! {
            biased;
            _ = read(&mut stream, &mut input) => {
                self.fates.is_cut(&text);
                tell!(name, "loses its connection");
            }
            () = sleep(Duration::from_millis(life.lasts_ms)) => self.end(&text, life.end, stream).await,
        }
        Some(())
    }

    async fn end(&self, text: &str, end: LifeEnd, mut stream: DuplexStream) {
        match end {
            LifeEnd::Dies => {
                happened("a device with a will dies");
                tell!(self.plan.name, "dies");
                self.fates.ends(text, End::Dead);
            }
            LifeEnd::SaysGoodBye => {
                tell!(self.plan.name, "says good-bye");
                let is_said = stream.write_all(wire::GOODBYE).await.is_ok();
                self.fates.ends(text, if is_said { End::GoodBye } else { End::Unclear });
            }
        }
    }

    fn packet(&self, text: &str) -> Vec<u8> {
        let MortalPlan { name, qos, delay, expiry, .. } = &self.plan;
        let delay = Properties::new().long(wire::id::WILL_DELAY, *delay);
        let will = Will::new(&format!("will/{name}"), text).qos(*qos).with(delay);
        let connect = Connect::new(self.version, name).will(will);
        if *expiry > 0 { connect.persistent(*expiry) } else { connect }.encode()
    }
}
