//! Accepts devices on one TCP port: each gets a task, none can hold up the next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::door::Door;
use super::tls::Acceptor;
use crate::base::current::Current;
use crate::config::{self, Auth};
use crate::metrics::OpenConnection;

/// After a failed accept, which is nearly always "no more descriptors": time for some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What connections go through that come from now on.
pub type Doorway = Arc<Current<Door>>;

pub struct Listener {
    spec: config::Listener,
    socket: Arc<TcpListener>,
    address: SocketAddr,
    tls: Option<Arc<Acceptor>>,
}

impl Listener {
    /// `tls` is what its files have been made into.
    pub async fn bind(spec: &config::Listener, tls: Option<Arc<Acceptor>>) -> anyhow::Result<Self> {
        let socket = TcpListener::bind(spec.bind).await.with_context(|| {
            format!("listener `{}` cannot bind {}: is another broker running there?", spec.name, spec.bind)
        })?;
        Self::at(Arc::new(socket), spec, tls)
    }

    /// At a socket that is there: that of a listener whose place it takes.
    pub fn at(socket: Arc<TcpListener>, spec: &config::Listener, tls: Option<Arc<Acceptor>>) -> anyhow::Result<Self> {
        let address = socket.local_addr().context("a bound listener has an address")?;
        Ok(Self { spec: spec.clone(), socket, address, tls })
    }

    /// For the log, once it is in use.
    pub fn tell_doubts(spec: &config::Listener, address: SocketAddr) {
        if !spec.allow_insecure || spec.is_locked() || address.ip().is_loopback() {
            return;
        }
        let who = match spec.auth {
            Auth::None => "anybody who reaches this address can publish",
            Auth::Password | Auth::Certificate => "whoever reads what goes to this address learns the passwords",
        };
        tracing::warn!(listener = %spec.name, %address, "allow_insecure: {who}; lock it with `tls` and `auth`");
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    pub fn spec(&self) -> &config::Listener {
        &self.spec
    }

    pub fn socket(&self) -> &Arc<TcpListener> {
        &self.socket
    }

    pub fn tls(&self) -> Option<&Arc<Acceptor>> {
        self.tls.as_ref()
    }

    /// Accepts until `stop`, then waits for its connections to say good-bye, which end when their door says so. `places` caps connections
    /// over all listeners.
    pub async fn run(self, doorway: Doorway, places: Arc<Semaphore>, stop: CancellationToken) {
        let Self { spec, socket, address, .. } = self;
        tracing::info!(listener = %spec.name, %address, "listening");
        let connections = TaskTracker::new();
        while let Some(accepted) = stop.run_until_cancelled(socket.accept()).await {
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::error!(listener = %spec.name, "cannot accept: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let door = doorway.get();
            let Some(visit) = door.admit_accepted(peer) else { continue };
            let Ok(place) = places.clone().try_acquire_owned() else {
                door.refuse(peer, "broker.limits.max_connections is reached");
                continue;
            };
            let open = OpenConnection::count(door.context().metrics.clone());
            connections.spawn(async move {
                door.serve(stream, peer).await;
                drop((open, place, visit));
            });
        }
        // The port is free from here on, unless another listener has it now.
        drop(socket);
        connections.close();
        connections.wait().await;
    }
}
