//! `[broker.listeners.NAME]`: a place where devices connect.

use std::net::SocketAddr;

use crate::config::ClientIds;

#[derive(Clone, Debug)]
pub struct Listener {
    pub name: String,
    pub bind: SocketAddr,
    /// An address other than loopback, without TLS and authentication, must be asked for in these words.
    pub allow_insecure: bool,
    pub auth: Auth,
    /// Which client identifiers a user may have. None: any, as long as no session of another user has it.
    pub client_ids: Option<ClientIds>,
}

/// How a client of a listener proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody asks.
    #[default]
    None,
    /// With a user name and a password of `[access] passwords`.
    Password,
}
