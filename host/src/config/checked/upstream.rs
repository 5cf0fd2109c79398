//! `[upstreams.NAME]`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::mqtt::{SubscribeOptions, Version};
use crate::topic::SharedFilter;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub name: String,
    /// In the order of preference; never empty, and all with or all without TLS.
    pub addresses: Vec<Address>,
    pub tls: Option<Tls>,
    pub protocol: Version,
    pub client_id: String,
    /// It is not in the file, so that a part of the installation's id may be added.
    pub is_client_id_ours: bool,
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub max_inflight: u16,
    pub keep_alive: Duration,
    pub connect_timeout: Duration,
    /// How long the upstream is asked to keep our session (MQTT 5 Session Expiry Interval).
    pub session_expiry: Duration,
    /// How often the first address is looked for while another one is in use.
    pub failback: Duration,
    /// How long the oldest unacknowledged message waits for its ack on a connection that works.
    pub ack_timeout: Duration,
    pub refused: Refused,
    /// What it is asked to send us.
    pub subscribe: Vec<Subscription>,
}

/// A topic filter that an upstream is subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// As the upstream is told, with `$share/GROUP/` where it is shared.
    pub text: String,
    pub filter: SharedFilter,
    pub options: SubscribeOptions,
}

/// What becomes of a message that an upstream answers with a failure reason code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refused {
    /// Kept as a dead letter; after some attempts, when the reason may pass.
    #[default]
    DeadLetter,
    Drop,
    /// Sent again until it is taken, or older than `max_age` of the spool.
    Retry,
}

/// Where a broker is. Drawn as a url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
    pub tls: bool,
}

/// TLS towards an upstream. Without a CA file the system's roots are used. Files are in PEM form, and read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Its first line opens the key.
    pub key_passphrase_file: Option<PathBuf>,
    /// Certificates of servers that are no longer good.
    pub crl: Option<PathBuf>,
    /// The name that the certificate must have, when it is not that of the url.
    pub server_name: Option<String>,
    /// What the connection is for, in the order of preference (RFC 7301).
    pub alpn: Vec<String>,
    /// SHA-256 of certificates, in DER, any of which is trusted, and nothing else.
    pub pin_sha256: Vec<[u8; 32]>,
}

// === impl Upstream ===

/// Its addresses as urls, for tables.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<String> = self.addresses.iter().map(Address::to_string).collect();
        f.write_str(&urls.join(", then "))
    }
}

// === impl Tls ===

impl Tls {
    /// All of its files.
    pub fn files(&self) -> Vec<PathBuf> {
        [&self.ca, &self.cert, &self.key, &self.key_passphrase_file, &self.crl].into_iter().flatten().cloned().collect()
    }
}

// === impl Address ===

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}
