//! `[broker.listeners.NAME]`: a place where devices connect.

use std::net::SocketAddr;

#[derive(Clone, Debug)]
pub struct Listener {
    pub name: String,
    pub bind: SocketAddr,
    /// An address other than loopback, without TLS and authentication, must be asked for in these words.
    pub allow_insecure: bool,
}
