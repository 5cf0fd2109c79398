//! `[broker.listeners.NAME]`: a place where devices connect.

use std::net::SocketAddr;

use crate::mqtt::Mqtt31;

#[derive(Clone, Debug)]
pub struct Listener {
    pub name: String,
    pub bind: SocketAddr,
    /// An address other than loopback, without TLS and authentication, must be asked for in these words.
    pub allow_insecure: bool,
    pub transport: Transport,
    /// A load balancer stands before it, and says in a header where each connection comes from.
    pub proxy_protocol: bool,
    pub mqtt_3_1: Mqtt31,
}

/// What the bytes of MQTT come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    WebSocket {
        /// Whose pages may connect: in lower case, as a browser says it, or `*`.
        origins: Vec<String>,
    },
}
