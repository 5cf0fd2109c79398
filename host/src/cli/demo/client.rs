//! rumqttc, the same for both protocol versions: what a device and the sink need of it.

use std::net::SocketAddr;

use rumqttc::v5::mqttbytes as v5bytes;
use rumqttc::{NetworkOptions, Outgoing, mqttbytes as v4bytes, v5};

use super::plan::Device;
use crate::message::QoS;
use crate::mqtt::Version;

/// Requests on their way to the event loop: few, so that the time of sending is the time on the wire.
const REQUESTS: usize = 4;

/// Unacknowledged messages of one device; below what the gateway grants (`receive_maximum`).
const INFLIGHT: u16 = 50;

pub enum Client {
    V311(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

pub enum Events {
    V311(Box<rumqttc::EventLoop>),
    V5(Box<v5::EventLoop>),
}

/// What an event means for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Written,
    /// PUBACK or PUBCOMP.
    Acknowledged,
    SaidGoodbye,
    Other,
}

pub fn connect(device: &Device, address: SocketAddr) -> (Client, Events) {
    let (host, port) = (address.ip().to_string(), address.port());
    match device.protocol {
        Version::V311 => {
            let mut options = rumqttc::MqttOptions::new(&device.name, host, port);
            options.set_inflight(INFLIGHT);
            let (client, mut events) = rumqttc::AsyncClient::new(options, REQUESTS);
            events.set_network_options(no_delay());
            (Client::V311(client), Events::V311(Box::new(events)))
        }
        Version::V5 => {
            let mut options = v5_options(&device.name, address);
            options.set_outgoing_inflight_upper_limit(INFLIGHT);
            let (client, events) = v5::AsyncClient::new(options, REQUESTS);
            (Client::V5(client), Events::V5(Box::new(events)))
        }
    }
}

pub fn v5_options(name: &str, address: SocketAddr) -> v5::MqttOptions {
    let mut options = v5::MqttOptions::new(name, address.ip().to_string(), address.port());
    options.set_network_options(no_delay());
    options
}

fn no_delay() -> NetworkOptions {
    let mut options = NetworkOptions::new();
    options.set_tcp_nodelay(true);
    options
}

// === impl Client ===

impl Client {
    pub async fn publish(&self, topic: &str, qos: QoS, payload: String) -> anyhow::Result<()> {
        match self {
            Self::V311(client) => {
                let qos = match qos {
                    QoS::AtMostOnce => v4bytes::QoS::AtMostOnce,
                    QoS::AtLeastOnce => v4bytes::QoS::AtLeastOnce,
                    QoS::ExactlyOnce => v4bytes::QoS::ExactlyOnce,
                };
                client.publish(topic, qos, false, payload).await?;
            }
            Self::V5(client) => {
                let qos = match qos {
                    QoS::AtMostOnce => v5bytes::QoS::AtMostOnce,
                    QoS::AtLeastOnce => v5bytes::QoS::AtLeastOnce,
                    QoS::ExactlyOnce => v5bytes::QoS::ExactlyOnce,
                };
                client.publish(topic, qos, false, payload).await?;
            }
        }
        Ok(())
    }

    pub async fn disconnect(&self) -> anyhow::Result<()> {
        match self {
            Self::V311(client) => client.disconnect().await?,
            Self::V5(client) => client.disconnect().await?,
        }
        Ok(())
    }
}

// === impl Events ===

impl Events {
    pub async fn next(&mut self) -> anyhow::Result<Step> {
        match self {
            Self::V311(events) => {
                use rumqttc::{Event, Packet};
                Ok(match events.poll().await? {
                    Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => Step::Acknowledged,
                    Event::Outgoing(outgoing) => outgoing.into(),
                    Event::Incoming(_) => Step::Other,
                })
            }
            Self::V5(events) => {
                use v5::{Event, mqttbytes::v5::Packet};
                Ok(match events.poll().await? {
                    Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => Step::Acknowledged,
                    Event::Outgoing(outgoing) => outgoing.into(),
                    Event::Incoming(_) => Step::Other,
                })
            }
        }
    }
}

impl From<Outgoing> for Step {
    fn from(outgoing: Outgoing) -> Self {
        match outgoing {
            Outgoing::Publish(_) => Self::Written,
            Outgoing::Disconnect => Self::SaidGoodbye,
            _ => Self::Other,
        }
    }
}
