//! The device's side: rustls, with the certificate that a test gives it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::{Authority, Issued};
use crate::eventually::SOON;

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// What a device shows and knows.
pub struct Client<'a> {
    pub trusts: &'a Authority,
    pub shows: Option<&'a Issued>,
    /// Certificates between its own and that of the CA.
    pub chain: Vec<CertificateDer<'static>>,
    pub versions: &'a [&'static SupportedProtocolVersion],
    pub alpn: &'a [&'a str],
}

// === impl Client ===

impl<'a> Client<'a> {
    pub fn new(trusts: &'a Authority) -> Self {
        Self { trusts, shows: None, chain: Vec::new(), versions: rustls::ALL_VERSIONS, alpn: &[] }
    }

    pub fn showing(self, certificate: &'a Issued) -> Self {
        Self { shows: Some(certificate), ..self }
    }

    pub fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.trusts.certificate.clone()).expect("a CA");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .expect("versions that there are")
            .with_root_certificates(roots);
        let mut config = match self.shows {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let chain = [vec![issued.certificate.clone()], self.chain.clone()].concat();
                builder.with_client_auth_cert(chain, issued.key()).expect("a certificate with its key")
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    pub fn connect(&self, to: SocketAddr) -> io::Result<TlsStream> {
        connect(to, self.config())
    }
}

/// Until the handshake is done as the device sees it: with TLS 1.3 the other side may still refuse its certificate.
pub fn connect(to: SocketAddr, config: Arc<ClientConfig>) -> io::Result<TlsStream> {
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    let socket = TcpStream::connect_timeout(&to, SOON)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(SOON))?;
    let mut stream = StreamOwned::new(connection, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}
