//! `[broker.listeners.NAME]`: a place where devices connect.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;

use crate::config::ClientIds;
use crate::mqtt::Mqtt31;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub name: String,
    pub bind: SocketAddr,
    pub tls: Option<ListenerTls>,
    pub auth: Auth,
    /// An address other than loopback, without TLS and authentication, must be asked for in these words.
    pub allow_insecure: bool,
    /// Which client identifiers a user may have. None: any, as long as no session of another user has it.
    pub client_ids: Option<ClientIds>,
    pub transport: Transport,
    /// A load balancer stands before it, and says in a header where each connection comes from.
    pub proxy: Option<Proxy>,
    pub mqtt_3_1: Mqtt31,
}

/// Who may say where a connection comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where load balancers are. None: everybody is taken for one.
    pub from: Option<Vec<IpNet>>,
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

/// How a device proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// It does not.
    #[default]
    None,
    /// With a user name and a password of `[access] passwords`.
    Password,
    /// By a certificate that `client_ca` has signed.
    Certificate,
}

/// Files in PEM form, read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Its first line opens the key.
    pub key_passphrase_file: Option<PathBuf>,
    /// Who signs the certificates of devices; with it, each of them has to show one.
    pub client_ca: Option<PathBuf>,
    /// Certificates of devices that are no longer good.
    pub crl: Option<PathBuf>,
    pub identity: Identity,
    /// The largest TLS record that is sent, with its header of 5 bytes.
    pub max_fragment_size: Option<usize>,
}

/// What of a device's certificate is its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    #[default]
    CommonName,
    SubjectAltName,
}

// === impl Listener ===

impl Listener {
    /// Whether only those come in who have proved who they are, and nobody on the way reads what they say.
    pub fn is_locked(&self) -> bool {
        self.tls.is_some() && self.auth != Auth::None
    }

    /// Whether its devices have user names that are theirs.
    pub fn proves_names(&self) -> bool {
        self.auth != Auth::None
    }

    /// Whether it lets everybody do everything where there are no access rules.
    pub fn is_open_without_rules(&self) -> bool {
        self.allow_insecure || self.bind.ip().is_loopback()
    }
}

// === impl Proxy ===

impl Proxy {
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.from.as_ref().is_none_or(|from| from.iter().any(|network| network.contains(&address)))
    }
}

// === impl ListenerTls ===

impl ListenerTls {
    /// All of its files.
    pub fn files(&self) -> Vec<PathBuf> {
        let optional = [&self.key_passphrase_file, &self.client_ca, &self.crl].into_iter().flatten();
        [&self.cert, &self.key].into_iter().chain(optional).cloned().collect()
    }
}
