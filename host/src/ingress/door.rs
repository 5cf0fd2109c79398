//! What a socket goes through between being accepted and being a device, in this order, all under one deadline: the header of a load
//! balancer, TLS, WebSocket, CONNECT.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::Shutdown;
use super::addresses::Visit;
use super::connection::{self, Context};
use super::peer::Peer;
use super::proxy::{self, ProxyError};
use super::tls::Acceptor;
use super::websocket;
use crate::base::clock;
use crate::config::{self, Transport};

const NO_BALANCER: &str = "its address is not in `proxy_from` of this listener: connect through the load balancer, or add the address if it is one";

/// What all connections of a listener go through.
pub struct Door {
    listener: Arc<str>,
    proxy: Option<config::Proxy>,
    tls: Option<Arc<Acceptor>>,
    transport: Transport,
    context: Arc<Context>,
    shutdown: Shutdown,
}

// === impl Door ===

impl Door {
    /// Its connections end with `shutdown`.
    pub fn new(spec: &config::Listener, tls: Option<Arc<Acceptor>>, context: Arc<Context>, shutdown: Shutdown) -> Self {
        let (listener, transport) = (spec.name.as_str().into(), spec.transport.clone());
        Self { listener, proxy: spec.proxy.clone(), tls, transport, context, shutdown }
    }

    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The same as [`Door::admit`] of a socket that was accepted. `Some(None)`: behind a load balancer that is known when its header is read.
    pub fn admit_accepted(&self, address: SocketAddr) -> Option<Option<Visit>> {
        let Some(proxy) = &self.proxy else { return self.admit(address).map(Some) };
        if !proxy.trusts(address.ip()) {
            self.refuse(address, NO_BALANCER);
            return None;
        }
        Some(None)
    }

    /// Whether its address may have one more connection now. Otherwise nothing is read of it, and nothing said: that is what makes it cheap.
    fn admit(&self, address: SocketAddr) -> Option<Visit> {
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
    pub async fn serve(&self, mut stream: TcpStream, address: SocketAddr) {
        let shutdown = self.shutdown.clone();
        let mut peer = Peer::accepted(address, self.listener.clone(), self.context.limits.handshake_timeout);
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, "TCP_NODELAY: {error}");
        }
        let mut _visit = None;
        if self.proxy.is_some() {
            _visit = self.ask_for_source(&mut stream, &mut peer, &shutdown).await;
            if _visit.is_none() {
                return;
            }
        }
        if let Some(tls) = &self.tls {
            let accepting = tls.accept(stream, &mut peer, &self.context);
            let Some(Some(stream)) = shutdown.run_until_cancelled(accepting).await else { return };
            if let Transport::WebSocket { origins } = &self.transport {
                return self.serve_websocket(stream, origins, peer, shutdown).await;
            }
            let (reader, writer) = tokio::io::split(stream);
            return connection::serve(reader, writer, peer, self.context.clone(), shutdown).await;
        }
        if let Transport::WebSocket { origins } = &self.transport {
            return self.serve_websocket(stream, origins, peer, shutdown).await;
        }
        let (reader, writer) = stream.into_split();
        connection::serve(reader, writer, peer, self.context.clone(), shutdown).await;
    }

    /// `None`: it is over. Otherwise it counts for where it comes from.
    async fn ask_for_source(&self, stream: &mut TcpStream, peer: &mut Peer, shutdown: &Shutdown) -> Option<Visit> {
        match self.in_time(proxy::source(stream), peer, "PROXY protocol header", shutdown).await? {
            Ok(Some(source)) => peer.address = source,
            Ok(None) => {}
            Err(ProxyError::Silent) => return None,
            Err(error) => {
                self.refuse(peer.address, error);
                return None;
            }
        }
        self.admit(peer.address)
    }

    async fn serve_websocket<S>(&self, stream: S, origins: &[String], peer: Peer, shutdown: Shutdown)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let upgrade = websocket::upgrade(stream, origins);
        let socket = match self.in_time(upgrade, &peer, "request for a WebSocket", &shutdown).await {
            Some(Ok(Some(socket))) => socket,
            Some(Err(refused)) => return self.refuse(peer.address, refused.detail),
            Some(Ok(None)) | None => return,
        };
        let (reader, writer) = socket.halves();
        connection::serve(reader, writer, peer.clone(), self.context.clone(), shutdown).await;
        if let Some(detail) = socket.fault() {
            self.refuse(peer.address, detail);
        }
        socket.finish().await;
    }

    /// `None` when the deadline of the peer, or the gateway's end, comes first.
    async fn in_time<T>(
        &self,
        stage: impl Future<Output = T>,
        peer: &Peer,
        what: &str,
        shutdown: &Shutdown,
    ) -> Option<T> {
        let done = shutdown.run_until_cancelled(tokio::time::timeout_at(peer.deadline, stage)).await?.ok();
        if done.is_none() {
            self.context.metrics.connections_refused.increment();
            tracing::info!(%peer, "connection ended: no {what} within broker.limits.handshake_timeout");
        }
        done
    }
}
