//! What a socket goes through between being accepted and being a device, in this order, all under one deadline.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::addresses::Visit;
use super::connection::{self, Context};
use super::peer::Peer;
use super::tls::Acceptor;
use crate::base::clock;

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

    /// Whether its address may have one more connection now. Otherwise nothing is read of it, and nothing said: that is what makes it cheap.
    pub fn admit(&self, address: SocketAddr) -> Option<Visit> {
        let admitted = self.context.addresses.admit(address, clock::now());
        admitted
            .inspect_err(|why| {
                self.context.metrics.connections_limited.increment();
                self.refuse(address, why);
            })
            .ok()
    }

    /// Counted and told, for one that is closed now.
    pub fn refuse(&self, address: SocketAddr, why: impl Display) {
        self.context.metrics.connections_refused.increment();
        if let Some(suppressed) = self.context.complaints.permit() {
            tracing::warn!(peer = %address, listener = %self.listener, suppressed, "connection refused: {why}");
        }
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
