//! Accepts devices on one TCP port: each gets a task, none can hold up the next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::Context;
use super::door::Door;
use super::tls::Acceptor;
use crate::config::{self, Auth};
use crate::metrics::OpenConnection;

/// After a failed accept, which is nearly always "no more descriptors": time for some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub struct Listener {
    spec: config::Listener,
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Acceptor>>,
}

impl Listener {
    /// `tls` is what its files have been made into.
    pub async fn bind(spec: &config::Listener, tls: Option<Arc<Acceptor>>) -> anyhow::Result<Self> {
        let socket = TcpListener::bind(spec.bind).await.with_context(|| {
            format!("listener `{}` cannot bind {}: is another broker running there?", spec.name, spec.bind)
        })?;
        let address = socket.local_addr().context("a bound listener has an address")?;
        if spec.allow_insecure && !spec.is_locked() && !address.ip().is_loopback() {
            let who = match spec.auth {
                Auth::None => "anybody who reaches this address can publish",
                Auth::Password | Auth::Certificate => "whoever reads what goes to this address learns the passwords",
            };
            tracing::warn!(listener = %spec.name, %address, "allow_insecure: {who}; lock it with `tls` and `auth`");
        }
        Ok(Self { spec: spec.clone(), socket, address, tls })
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

    pub fn tls(&self) -> Option<&Arc<Acceptor>> {
        self.tls.as_ref()
    }

    /// Runs until `shutdown`, then waits for its connections to say good-bye. `places` caps connections over all listeners.
    pub async fn run(self, context: Arc<Context>, places: Arc<Semaphore>, shutdown: CancellationToken) {
        tracing::info!(listener = %self.spec.name, address = %self.address, "listening");
        let connections = TaskTracker::new();
        let door = Arc::new(Door::new(&self.spec, self.tls, context));
        while let Some(accepted) = shutdown.run_until_cancelled(self.socket.accept()).await {
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::error!(listener = %self.spec.name, "cannot accept: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(visit) = door.admit_accepted(peer) else { continue };
            let Ok(place) = places.clone().try_acquire_owned() else {
                door.refuse(peer, "broker.limits.max_connections is reached");
                continue;
            };
            let (door, shutdown) = (door.clone(), shutdown.clone());
            let open = OpenConnection::count(door.context().metrics.clone());
            connections.spawn(async move {
                door.serve(stream, peer, shutdown).await;
                drop((open, place, visit));
            });
        }
        connections.close();
        connections.wait().await;
    }
}
