//! `[operate]`: how the gateway is watched while it runs.

use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operate {
    /// None: nobody listens.
    pub http: Option<Http>,
}

/// Where metrics and health are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    pub bind: SocketAddr,
    /// Whoever asks has to know what is in it. Always there where the network can ask.
    pub token_file: Option<PathBuf>,
}
