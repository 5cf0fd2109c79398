//! A gateway with a listener of each transport, and devices that come through one of them.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;

use crate::eventually::SOON;
use crate::framed::Framed;
use crate::ports;
use crate::raw::Raw;
use crate::tls::{self, Authority, Client};
use crate::wire::Version;

/// What the bytes of MQTT come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through the listener that every gateway of these tests has.
    Tcp,
    Tls,
    WebSocket,
    SecureWebSocket,
}

/// On ports that stay: a gateway that is started again is found there.
pub struct Doors {
    authority: Authority,
    client: Arc<ClientConfig>,
    ports: [u16; 3],
}

/// How a device comes to its gateway.
#[derive(Clone, Default)]
pub struct Dial(Option<(Arc<Doors>, Way)>);

// === impl Way ===

impl Way {
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Tls, Self::WebSocket, Self::SecureWebSocket];
    /// With something between MQTT and its socket.
    pub const LAYERED: [Self; 3] = [Self::Tls, Self::WebSocket, Self::SecureWebSocket];
}

// === impl Doors ===

impl Doors {
    pub fn new() -> Arc<Self> {
        let authority = Authority::new("server CA");
        let client = Client::new(&authority).config();
        Arc::new(Self { authority, client, ports: std::array::from_fn(|_| ports::free()) })
    }

    /// For `gateway.toml`.
    pub fn config(&self) -> String {
        const TLS: &str = "tls = { cert = \"gw.pem\", key = \"gw.key\" }\n";
        const WEB: &str = "transport = \"websocket\"\n";
        let listener =
            |name, port: u16, more: &str| format!("[broker.listeners.{name}]\nbind = \"127.0.0.1:{port}\"\n{more}");
        let [tls, web, secure] = self.ports;
        [
            listener("tls", tls, TLS),
            listener("web", web, WEB),
            listener("secure-web", secure, &format!("{TLS}{WEB}")),
            "\n".to_owned(),
        ]
        .concat()
    }

    /// The certificate, in the folder of the configuration.
    pub fn install(&self, folder: &Path) {
        self.authority.server().write(folder, "gw");
    }

    /// `local` is where the listener without anything is. `None`: there is nobody, or no more.
    pub fn open(&self, way: Way, local: SocketAddr, version: Version) -> Option<Raw> {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let [tls, web, secure] = self.ports.map(at);
        match way {
            Way::Tcp => Raw::try_open(local, version),
            Way::Tls => Some(Raw::over(tls::connect(tls, self.client.clone()).ok()?, version)),
            Way::WebSocket => {
                let stream = TcpStream::connect_timeout(&web, SOON).ok()?;
                stream.set_nodelay(true).ok()?;
                Some(Raw::over(Framed::open(stream).ok()?, version))
            }
            Way::SecureWebSocket => {
                let stream = tls::connect(secure, self.client.clone()).ok()?;
                Some(Raw::over(Framed::open(stream).ok()?, version))
            }
        }
    }
}

// === impl Dial ===

impl Dial {
    pub fn through(doors: &Arc<Doors>, way: Way) -> Self {
        Self(Some((doors.clone(), way)))
    }

    pub fn open(&self, local: SocketAddr, version: Version) -> Option<Raw> {
        match &self.0 {
            None => Raw::try_open(local, version),
            Some((doors, way)) => doors.open(*way, local, version),
        }
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Way::Tcp, |(_, way)| *way).fmt(f)
    }
}
