//! MQTT over WebSocket.

mod browser;
mod frames;
mod programs;
mod requests;

use std::net::SocketAddr;

use tidegate_tests::gateway::Gateway;

/// Beside the listener that each test has.
const WEB: &str = "[broker.listeners.web]\nbind = \"127.0.0.1:0\"\ntransport = \"websocket\"\n";

struct Web {
    gateway: Gateway,
    tcp: SocketAddr,
    web: SocketAddr,
}

impl Web {
    /// `more` follows the table of the listener.
    fn start(more: &str) -> Self {
        let gateway = Gateway::start(&format!("{WEB}{more}"));
        let (tcp, web) = (gateway.listener("local"), gateway.listener("web"));
        Self { gateway, tcp, web }
    }
}
