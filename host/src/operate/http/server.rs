//! The gateway's side of HTTP/1.1: few connections, one request each, and a deadline for all of it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::routes;
use super::state::State;

use crate::setup::descriptors::HTTP_CONNECTIONS;

/// For the head of a request to come.
const HEAD: Duration = Duration::from_secs(5);
/// For a connection from its first byte to its last, so that nobody who reads slowly keeps a place of the few while others wait. Prometheus waits 10 s by default.
const WHOLE: Duration = Duration::from_secs(30);
/// A browser sends two or three.
const MAX_HEAD_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// After an `accept` that failed: out of descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(100);

pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

// === impl Server ===

impl Server {
    pub async fn bind(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("`operate.http` cannot bind {address}: does another program or gateway listen there?")
        })?;
        let address = listener.local_addr().context("a bound listener has an address")?;
        Ok(Self { listener, address })
    }

    /// Until `stop`.
    pub fn start(self, state: Arc<State>, stop: CancellationToken) -> JoinHandle<()> {
        tracing::info!(address = %self.address, "metrics and health over HTTP");
        tokio::spawn(serve(self.listener, state, stop))
    }
}

async fn serve(listener: TcpListener, state: Arc<State>, stop: CancellationToken) {
    let (places, connections) = (Arc::new(Semaphore::new(HTTP_CONNECTIONS)), TaskTracker::new());
    while let Some(Ok(place)) = stop.run_until_cancelled(places.clone().acquire_owned()).await {
        let Some(accepted) = stop.run_until_cancelled(listener.accept()).await else { break };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (state, stop) = (state.clone(), stop.clone());
        connections.spawn(async move {
            let _place = place;
            // Whoever leaves in the middle needs no answer, and who is too slow for it gets none.
            let _ = stop.run_until_cancelled(timeout(WHOLE, converse(stream, state))).await;
        });
    }
    connections.close();
    connections.wait().await;
}

async fn converse(stream: TcpStream, state: Arc<State>) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, Infallible>(routes::answer(&request, state).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        // A scrape every few seconds is no reason to hold a place in between.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
}
