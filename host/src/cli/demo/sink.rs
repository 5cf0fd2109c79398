//! The far end: a subscriber at QoS 2 of the stand-in upstream, so that each message comes with the QoS that it was
//! forwarded with.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rumqttc::v5::mqttbytes::QoS as ClientQoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish};
use rumqttc::v5::{AsyncClient, Event, EventLoop};
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::client::v5_options;
use super::plan::{Plan, UPSTREAM_ROOT};
use super::tracker::{Arrival, Tracker};
use crate::message::QoS;

/// Published by the sink itself when all is over. It goes through the same mailbox as everything else: once it is back,
/// nothing that came before it can still be on its way, a late duplicate included.
const END: &str = "sites/end";

const PATIENCE: Duration = Duration::from_secs(10);

pub struct Sink {
    client: AsyncClient,
    task: JoinHandle<anyhow::Result<()>>,
}

/// What a message says of itself.
#[derive(Deserialize)]
struct Said {
    n: usize,
    qos: u8,
    celsius: Option<f64>,
    humidity: Option<f64>,
}

struct Recorder {
    tracker: Arc<Tracker>,
    devices: HashMap<String, usize>,
}

// === impl Sink ===

impl Sink {
    /// Returns when the subscription stands.
    pub async fn subscribe(stand_in: SocketAddr, plan: &Plan, tracker: Arc<Tracker>) -> anyhow::Result<Self> {
        let (client, mut events) = AsyncClient::new(v5_options("sink", stand_in), 4);
        client.subscribe(format!("{UPSTREAM_ROOT}/#"), ClientQoS::ExactlyOnce).await?;
        let subscribed = async {
            while !matches!(events.poll().await?, Event::Incoming(Packet::SubAck(_))) {}
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, subscribed).await.context("the stand-in does not answer")??;
        let topics = plan.devices.iter().enumerate().map(|(index, device)| (device.upstream_topic.clone(), index));
        let recorder = Recorder { tracker, devices: topics.collect() };
        Ok(Self { client, task: tokio::spawn(recorder.run(events)) })
    }

    /// Everything that the stand-in has for the sink is recorded.
    pub async fn finish(self) -> anyhow::Result<()> {
        self.client.publish(END, ClientQoS::ExactlyOnce, false, "").await?;
        match tokio::time::timeout(PATIENCE, self.task).await {
            Ok(ended) => ended.context("the sink died")?,
            Err(_) => bail!("the stand-in did not give the sink its own last message within {PATIENCE:?}"),
        }
    }
}

// === impl Recorder ===

impl Recorder {
    async fn run(self, mut events: EventLoop) -> anyhow::Result<()> {
        loop {
            match events.poll().await.context("the sink lost the stand-in")? {
                Event::Incoming(Packet::Publish(publish)) if publish.topic == END => return Ok(()),
                Event::Incoming(Packet::Publish(publish)) => self.record(&publish),
                _ => {}
            }
        }
    }

    fn record(&self, publish: &Publish) {
        let topic = String::from_utf8_lossy(&publish.topic);
        let said = serde_json::from_slice::<Said>(&publish.payload);
        let (Some(device), Ok(said)) = (self.devices.get(topic.as_ref()), said) else {
            return self.tracker.stray(format!("[{topic}] {}", String::from_utf8_lossy(&publish.payload)));
        };
        let qos = match publish.qos {
            ClientQoS::AtMostOnce => QoS::AtMostOnce,
            ClientQoS::AtLeastOnce => QoS::AtLeastOnce,
            ClientQoS::ExactlyOnce => QoS::ExactlyOnce,
        };
        let Said { n, qos: said_qos, celsius, humidity } = said;
        let value = celsius.or(humidity);
        self.tracker.arrive(Arrival { device: *device, n, qos, said_qos, value, latency: Duration::ZERO });
    }
}
