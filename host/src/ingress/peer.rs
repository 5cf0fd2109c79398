//! Who is at the other end of a connection, as far as it is known by then.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

#[derive(Clone, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// The name of the listener that it came to.
    pub listener: Arc<str>,
    /// The user name that it has proved to be its own.
    pub name: Option<Arc<str>>,
    /// Until when it has to have said who it is: CONNECT, and all that goes before it.
    pub deadline: Instant,
}

// === impl Peer ===

impl Peer {
    /// Nothing more is known of it than where it comes from.
    pub fn accepted(address: SocketAddr, listener: Arc<str>, handshake_timeout: Duration) -> Self {
        Self { address, listener, name: None, deadline: Instant::now() + handshake_timeout }
    }
}

/// Its address, for logs.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
