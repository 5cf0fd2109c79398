//! What a socket goes through between being accepted and being a device, in this order, all under one deadline.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::connection::{self, Context};
use super::peer::Peer;
use super::tls::Acceptor;

/// What all connections of a listener go through.
pub struct Door {
    listener: Arc<str>,
    tls: Option<Arc<Acceptor>>,
    context: Arc<Context>,
}

// === impl Door ===

impl Door {
    pub fn new(listener: &str, tls: Option<Arc<Acceptor>>, context: Arc<Context>) -> Self {
        Self { listener: listener.into(), tls, context }
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Returns when the connection is over.
    pub async fn serve(&self, stream: TcpStream, address: SocketAddr, shutdown: CancellationToken) {
        let mut peer = Peer::accepted(address, self.listener.clone(), self.context.limits.handshake_timeout);
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, "TCP_NODELAY: {error}");
        }
        if let Some(tls) = &self.tls {
            let accepting = tls.accept(stream, &mut peer, &self.context);
            let Some(Some(stream)) = shutdown.run_until_cancelled(accepting).await else { return };
            let (reader, writer) = tokio::io::split(stream);
            return connection::serve(reader, writer, peer, self.context.clone(), shutdown).await;
        }
        let (reader, writer) = stream.into_split();
        connection::serve(reader, writer, peer, self.context.clone(), shutdown).await;
    }
}
