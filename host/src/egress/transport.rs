//! The byte stream to an upstream: TCP, with or without TLS.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::prepare::Endpoint;
use super::resolve::Resolver;
use crate::config::Address;

pub type Transport = Box<dyn Stream>;

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where streams come from: the network, or in tests a pipe, so that time can be paused.
pub trait Dial: Send + Sync + 'static {
    fn dial(&self, endpoint: &Endpoint) -> impl Future<Output = io::Result<Transport>> + Send;
}

#[derive(Default)]
pub struct Network {
    resolver: Resolver,
}

/// How long one address of a name keeps us from its next one.
const NEXT_AFTER: Duration = Duration::from_secs(3);

// === impl Network ===

impl Dial for Network {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Transport> {
        let stream = self.connect(&endpoint.address).await?;
        // Packets are coalesced here; Nagle's algorithm would hold the last one back until the server's delayed ack.
        stream.set_nodelay(true)?;
        let Some(tls) = &endpoint.tls else { return Ok(Box::new(stream)) };
        let connecting = TlsConnector::from(tls.current.get()).connect(tls.name.clone(), stream);
        let stream = connecting.await.map_err(in_handshake)?;
        Ok(Box::new(stream))
    }
}

/// What TLS says stays as it is.
fn in_handshake(error: io::Error) -> io::Error {
    match error.get_ref().is_some_and(|why| why.is::<rustls::Error>()) {
        true => error,
        false => io::Error::new(
            error.kind(),
            format!("the connection ended in the TLS handshake ({error}); is this its port for TLS?"),
        ),
    }
}

impl Network {
    /// The first of the name's addresses that answers. Their order is the system's.
    async fn connect(&self, address: &Address) -> io::Result<TcpStream> {
        let mut addresses = self.resolver.resolve(&address.host, address.port).await?;
        let last = addresses.pop().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
        for address in addresses {
            if let Ok(Ok(stream)) = tokio::time::timeout(NEXT_AFTER, TcpStream::connect(address)).await {
                return Ok(stream);
            }
        }
        TcpStream::connect(last).await
    }
}
