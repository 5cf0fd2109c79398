//! The task that owns one upstream: connect, hand over to the session, wait, again.
//!
//! **Which session?** After the first CONNACK of this process we have a session and ask for it (`clean_start = false`). Before
//! it we have none: the server may still keep one of an earlier process, whose packet ids would clash with ours, and a new
//! QoS 2 message under an id that the server holds is taken for a repeat and lost. A client without session state must not use
//! such a session [MQTT-3.2.2-4], so that the first connection asks for a clean start. 3.1.1 cannot ask for "clean now, kept
//! later" in one CONNECT: there, a session that turns up unexpected is cleared by a short connection of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::{self, Backoff};
use super::inflight::Inflight;
use super::link::{Identity, Link};
use super::link_error::LinkError;
use super::prepare::Prepared;
use super::session::{Sender, Session};
use super::status::{Reporter, UpstreamStatus};
use super::throttle::Throttle;
use super::transport::{Dial, Network};
use crate::control::config::Protocol;
use crate::control::counters::Counters;
use crate::spool::Queue;

/// A connection that lasted this long was a good one.
const STABLE: Duration = Duration::from_secs(10);

/// Added to the client id by [`probe`], so that it does not take over the session of a running gateway.
const PROBE_SUFFIX: &str = "-check";

struct Client<D> {
    dial: D,
    upstream: Prepared,
    counters: Arc<Counters>,
    sender: Sender,
    /// Whether a session of ours exists at the server, as far as we know.
    has_session: bool,
    reporter: Reporter,
    last_logged: Option<String>,
}

/// Starts the task. It ends by itself only after `shutdown`; whoever holds the handle notices if it ends otherwise.
pub fn start(
    upstream: Prepared,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    shutdown: CancellationToken,
) -> (JoinHandle<()>, tokio::sync::watch::Receiver<UpstreamStatus>) {
    start_with(Network, upstream, queue, counters, shutdown)
}

pub(super) fn start_with<D: Dial>(
    dial: D,
    upstream: Prepared,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    shutdown: CancellationToken,
) -> (JoinHandle<()>, tokio::sync::watch::Receiver<UpstreamStatus>) {
    let (reporter, status) = Reporter::new();
    let sender = Sender {
        upstream: upstream.spec.name.clone(),
        queue,
        inflight: Inflight::new(upstream.spec.max_inflight),
        refused: Throttle::default(),
        oversize: Throttle::default(),
    };
    let client = Client { dial, upstream, counters, sender, has_session: false, reporter, last_logged: None };
    (tokio::spawn(client.run(shutdown)), status)
}

/// Connects and says goodbye, under another client id and without leaving a session behind.
pub async fn probe(upstream: &Prepared) -> Result<(), LinkError> {
    let client_id = format!("{}{PROBE_SUFFIX}", upstream.spec.client_id);
    let identity = Identity { client_id: &client_id, clean_start: true, session_expiry: Duration::ZERO };
    Link::open(&Network, upstream, identity).await?.close().await;
    Ok(())
}

// === impl Client ===

impl<D: Dial> Client<D> {
    async fn run(mut self, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(backoff::chance);
        while let Err(error) = self.connection(&shutdown, &mut backoff).await {
            let wait = if error.needs_attention() { backoff.wait_long() } else { backoff.wait() };
            self.failed(&error, wait);
            if shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                break;
            }
        }
        self.reporter.disconnected(None);
        let left = self.sender.queue.len();
        if left > 0 {
            tracing::warn!(upstream = self.sender.upstream, left, "stopped with messages that are not forwarded");
        }
    }

    /// One connection from dialling to its end. `Ok` when the shutdown has ended it.
    async fn connection(&mut self, shutdown: &CancellationToken, backoff: &mut Backoff) -> Result<(), LinkError> {
        self.reporter.attempt();
        let Some(link) = shutdown.run_until_cancelled(self.open()).await else { return Ok(()) };
        let link = link?;
        self.connected(&link);
        let start = Instant::now();
        let kept = self.has_session && link.session_present;
        self.has_session = true;
        let mut session = Session::new(&mut self.sender, link);
        if kept {
            session.resume();
        } else {
            self.counters.possible_duplicates.add(session.restart() as u64);
        }
        let end = session.run(shutdown).await;
        self.has_session = !matches!(end, Err(LinkError::SessionBroken));
        if start.elapsed() >= STABLE {
            backoff.reset();
        }
        end
    }

    async fn open(&self) -> Result<Link, LinkError> {
        let clean = !self.has_session;
        match self.upstream.spec.protocol {
            Protocol::V5 => self.open_with(clean).await,
            Protocol::V311 => {
                let link = self.open_with(false).await?;
                if !clean || !link.session_present {
                    return Ok(link);
                }
                link.close().await;
                self.open_with(true).await?.close().await;
                self.open_with(false).await
            }
        }
    }

    async fn open_with(&self, clean_start: bool) -> Result<Link, LinkError> {
        let spec = &self.upstream.spec;
        let identity = Identity { client_id: &spec.client_id, clean_start, session_expiry: spec.session_expiry };
        Link::open(&self.dial, &self.upstream, identity).await
    }

    fn connected(&mut self, link: &Link) {
        let upstream = &self.sender.upstream;
        let session = if link.session_present { "kept" } else { "new" };
        tracing::info!(upstream, session, waiting = self.sender.queue.len(), "connected");
        link.terms.warn(upstream);
        self.last_logged = None;
        self.reporter.connected();
    }

    /// The same trouble is told once, not with every try.
    fn failed(&mut self, error: &LinkError, wait: Duration) {
        let upstream = &self.sender.upstream;
        let text = error.to_string();
        if self.last_logged.as_ref() == Some(&text) {
            tracing::debug!(upstream, ?wait, "{text}");
        } else {
            tracing::warn!(upstream, waiting = self.sender.queue.len(), "{text}; trying again until it works");
            self.last_logged = Some(text.clone());
        }
        self.reporter.disconnected(Some(text));
    }
}

#[cfg(test)]
pub(super) mod peer;
#[cfg(test)]
mod tests;
