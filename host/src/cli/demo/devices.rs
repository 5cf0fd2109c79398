//! A device: connects, says what its sensor recorded, waits until the gateway has all of it, and leaves.
//!
//! It goes as fast as the pipeline lets it ([`Tracker::leave`]), not as slow as the weather.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinSet;

use super::client::{self, Client, Events, Step};
use super::plan::{Device, Plan};
use super::tracker::Tracker;
use crate::message::QoS;

/// All of them, each in a task.
pub fn start(plan: &Arc<Plan>, tracker: &Arc<Tracker>, gateway: SocketAddr) -> JoinSet<anyhow::Result<()>> {
    let mut tasks = JoinSet::new();
    for index in 0..plan.devices.len() {
        let (plan, tracker) = (plan.clone(), tracker.clone());
        tasks.spawn(async move {
            let Some(device) = plan.devices.get(index) else { return Ok(()) };
            let running = run(index, device, &tracker, gateway).await;
            running.with_context(|| format!("device {}", device.name))
        });
    }
    tasks
}

async fn run(index: usize, device: &Device, tracker: &Tracker, gateway: SocketAddr) -> anyhow::Result<()> {
    let (client, mut events) = client::connect(device, gateway);
    tokio::try_join!(talk(index, device, tracker, &client), listen(index, device, tracker, &mut events))?;
    client.disconnect().await?;
    while events.next().await? != Step::SaidGoodbye {}
    // Until the gateway has read that and closed: otherwise it would find a device that vanished.
    while events.next().await.is_ok() {}
    Ok(())
}

async fn talk(index: usize, device: &Device, tracker: &Tracker, client: &Client) -> anyhow::Result<()> {
    for (n, planned) in device.messages.iter().enumerate() {
        tracker.leave(index, n, planned.expected.is_some()).await;
        client.publish(&device.topic, device.qos, planned.payload.clone()).await?;
    }
    Ok(())
}

/// Drives the client until its last message is complete.
async fn listen(index: usize, device: &Device, tracker: &Tracker, events: &mut Events) -> anyhow::Result<()> {
    let completes = match device.qos {
        QoS::AtMostOnce => Step::Written,
        QoS::AtLeastOnce | QoS::ExactlyOnce => Step::Acknowledged,
    };
    let mut incomplete = device.messages.len();
    while incomplete > 0 {
        if events.next().await? == completes {
            incomplete -= 1;
            tracker.complete(index);
        }
    }
    Ok(())
}
