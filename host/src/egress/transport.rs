//! The byte stream to an upstream: TCP, with or without TLS.

use std::future::Future;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::prepare::Endpoint;

pub type Transport = Box<dyn Stream>;

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Where streams come from: the network, or in tests a pipe, so that time can be paused.
pub trait Dial: Send + Sync + 'static {
    fn dial(&self, endpoint: &Endpoint) -> impl Future<Output = io::Result<Transport>> + Send;
}

pub struct Network;

// === impl Network ===

impl Dial for Network {
    async fn dial(&self, endpoint: &Endpoint) -> io::Result<Transport> {
        let stream = TcpStream::connect((endpoint.address.host.as_str(), endpoint.address.port)).await?;
        // Packets are coalesced here; Nagle's algorithm would hold the last one back until the server's delayed ack.
        stream.set_nodelay(true)?;
        let Some(tls) = &endpoint.tls else { return Ok(Box::new(stream)) };
        let stream = TlsConnector::from(tls.config.clone()).connect(tls.name.clone(), stream).await?;
        Ok(Box::new(stream))
    }
}
