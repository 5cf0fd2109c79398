//! The gateway's side: few connections, short lines, and a deadline for everything.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::request::{HeldState, OldestState, PluginState, Request, Response, Status, UpstreamState};
use super::socket::with_path;
use crate::base::log_writer;
use crate::config::UpstreamId;
use crate::dead_letter::ArchiveHandle;
use crate::egress::{Operator, UpstreamStatus};
use crate::ingress::registry::Registry;
use crate::metrics::Counters;
use crate::plugin::{Metric, PluginStats};
use crate::spool::{Held, Spool};

/// An operator and a script or two.
const MAX_CONNECTIONS: usize = 8;
/// A filter with a few thousand numbers.
const MAX_LINE: u64 = 64 << 10;
/// For a line to come, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(30);
/// For the work: letters are looked through on a slow card.
const WORK: Duration = Duration::from_secs(120);
/// After an `accept` that failed: out of descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// What the socket shows and asks.
#[derive(Clone)]
pub struct State {
    pub archive: ArchiveHandle,
    pub sessions: Arc<Registry>,
    pub spool: Spool,
    pub counters: Arc<Counters>,
    pub upstreams: Vec<(String, watch::Receiver<UpstreamStatus>)>,
    /// In the same order.
    pub operators: Vec<Operator>,
    pub plugins: Vec<(String, Arc<PluginStats>)>,
}

/// Listens until it is stopped. Whoever calls this holds the lock of the spool: a socket that is there is a dead one's.
///
/// Without a socket the gateway runs all the same: some file systems have none, and messages matter more than commands.
pub fn start(data_dir: &Path, state: State, stop: CancellationToken) -> io::Result<JoinHandle<()>> {
    match with_path(data_dir, bind) {
        Ok(listener) => Ok(tokio::spawn(serve(listener, state, stop))),
        Err(error) => {
            tracing::warn!("no admin socket, so `tidegate status` and `requeue` do not reach this gateway: {error}");
            Ok(tokio::spawn(async move { stop.cancelled().await }))
        }
    }
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn serve(listener: UnixListener, state: State, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Some(accepted) = stop.run_until_cancelled(accept(&listener, &places)).await {
        let Ok((stream, place)) = accepted else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (state, stop) = (state.clone(), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            // Whoever leaves in the middle needs no answer.
            let _ = stop.run_until_cancelled(converse(stream, &state)).await;
        });
    }
}

async fn accept(
    listener: &UnixListener,
    places: &Arc<Semaphore>,
) -> io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    Ok((listener.accept().await?.0, place))
}

async fn converse(stream: UnixStream, state: &State) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let length = timeout(PATIENCE, (&mut read).take(MAX_LINE).read_until(b'\n', &mut line)).await??;
        if length == 0 {
            return Ok(());
        }
        if length as u64 == MAX_LINE && !line.ends_with(b"\n") {
            return Err(io::Error::other("a line that is too long"));
        }
        let mut answer = serde_json::to_vec(&answer(&line, state).await)?;
        answer.push(b'\n');
        timeout(PATIENCE, write.write_all(&answer)).await??;
    }
}

async fn answer(line: &[u8], state: &State) -> Response {
    let request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return Response::Error(format!("not understood: {error}")),
    };
    match timeout(WORK, state.carry_out(request)).await {
        Ok(response) => response,
        Err(_) => Response::Error(format!("not done within {WORK:?}; it may still happen")),
    }
}

// === impl HeldState ===

impl From<Held> for HeldState {
    fn from(Held { upstream, reason, advice }: Held) -> Self {
        Self { upstream, reason, advice }
    }
}

// === impl PluginState ===

impl PluginState {
    fn of(stats: &PluginStats) -> Self {
        let value = |metric| match metric {
            Metric::Counter(count) => count as f64,
            Metric::Gauge(value) => value,
        };
        Self {
            messages: stats.messages.get(),
            faults: stats.faults(),
            retries: stats.retries.get(),
            breakers: stats.breakers().into_iter().map(|(binding, state)| (binding, state.to_string())).collect(),
            metrics: stats.metrics.snapshot().into_iter().map(|(name, metric)| (name, value(metric))).collect(),
        }
    }
}

// === impl State ===

impl State {
    async fn carry_out(&self, request: Request) -> Response {
        let letters = match request {
            Request::Status => return self.status().await,
            Request::Sessions => return respond(&self.sessions.list()),
            Request::DropSession { client } => {
                let dropped = self.sessions.drop_session(&client).await;
                return dropped.map_or_else(|error| Response::Error(error.to_string()), |()| Response::Ok(json!({})));
            }
            Request::Requeue { filter } => self.archive.requeue(filter).await,
            Request::PurgeDeadLetters { filter } => self.archive.purge(filter).await,
            Request::Skip { upstream, number, drop } => return self.skip(&upstream, number, drop).await,
        };
        // Under its old name, too, for one release.
        let answer = |letters| Response::Ok(json!({ "dead_letters": letters, "letters": letters }));
        letters.map_or_else(Response::Error, answer)
    }

    async fn skip(&self, upstream: &str, number: Option<u64>, drop: bool) -> Response {
        let operator = self.upstreams.iter().zip(&self.operators).find(|((name, _), _)| name == upstream);
        let Some((_, operator)) = operator else {
            return Response::Error(format!("there is no upstream `{upstream}`"));
        };
        let skipped = operator.skip(number, !drop).await;
        skipped.map_or_else(Response::Error, |skipped| {
            Response::Ok(json!({ "number": skipped.number, "topic": skipped.topic, "kept": !drop }))
        })
    }

    fn oldest(&self, upstream: usize, status: &UpstreamStatus) -> Option<OldestState> {
        let entry = self.spool.queue(UpstreamId(upstream)).oldest()?;
        let number = entry.position.number;
        let trouble = status.trouble.as_ref().filter(|trouble| trouble.number == number);
        Some(OldestState {
            number,
            topic: entry.message.topic.to_string(),
            age_seconds: entry.arrived.elapsed().as_secs(),
            attempts: trouble.map_or(0, |trouble| trouble.attempts),
            suspect: trouble.is_some_and(|trouble| trouble.is_suspect),
        })
    }

    async fn status(&self) -> Response {
        let upstream = |(index, (name, status)): (usize, &(String, watch::Receiver<UpstreamStatus>))| {
            let status = status.borrow().clone();
            let oldest = self.oldest(index, &status);
            let UpstreamStatus { connected, url, attempts, taken_over, last_error, .. } = status;
            UpstreamState { name: name.clone(), connected, url, attempts, taken_over, last_error, oldest }
        };
        let plugin = |(name, stats): &(String, Arc<PluginStats>)| (name.clone(), PluginState::of(stats));
        let status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            waiting: self.spool.waiting(),
            held: self.spool.held().into_iter().map(HeldState::from).collect(),
            dead_letters: self.archive.letters().await,
            log_lines_lost: log_writer::lost(),
            upstreams: self.upstreams.iter().enumerate().map(upstream).collect(),
            plugins: self.plugins.iter().map(plugin).collect(),
            counters: self.counters.snapshot().into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        };
        respond(&status)
    }
}

fn respond(answer: &impl serde::Serialize) -> Response {
    serde_json::to_value(answer).map_or_else(|error| Response::Error(error.to_string()), Response::Ok)
}
