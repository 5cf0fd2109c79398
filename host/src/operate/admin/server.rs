//! The gateway's side: few connections, short lines, and a deadline for everything.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::request::{Request, Response};
use super::socket::with_path;
use super::tap;
use crate::base::log_levels;
use crate::config::did_you_mean;
use crate::dead_letter::ArchiveHandle;
use crate::ingress::registry::Registry;
use crate::operate::{Observer, Reloads};
use crate::tap::Taps;

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
    pub observer: Arc<Observer>,
    pub archive: ArchiveHandle,
    pub sessions: Arc<Registry>,
    pub reloads: Reloads,
    pub taps: Arc<Taps>,
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
        let answer = match serde_json::from_slice(&line) {
            Ok(Request::Tap(wanted)) => return tap::stream(&mut read, &mut write, &state.taps, wanted).await,
            Ok(request) => answer(request, state).await,
            Err(error) => Response::Error(format!("not understood: {error}")),
        };
        say(&mut write, &answer).await?;
    }
}

/// One line.
pub(super) async fn say(write: &mut (impl AsyncWrite + Unpin), answer: &Response) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    timeout(PATIENCE, write.write_all(&line)).await?
}

async fn answer(request: Request, state: &State) -> Response {
    match timeout(WORK, state.carry_out(request)).await {
        Ok(response) => response,
        Err(_) => Response::Error(format!("not done within {WORK:?}; it may still happen")),
    }
}

// === impl State ===

impl State {
    async fn carry_out(&self, request: Request) -> Response {
        let letters = match request {
            Request::Status => return respond(&self.observer.snapshot().await),
            Request::Reload { dry_run } => {
                let report = self.reloads.ask(dry_run).await;
                return report.map_or_else(Response::Error, |report| respond(&report));
            }
            Request::Sessions => return respond(&self.sessions.list()),
            Request::DropSession { client } => {
                let dropped = self.sessions.drop_session(&client).await;
                return dropped.map_or_else(|error| Response::Error(error.to_string()), |()| Response::Ok(json!({})));
            }
            Request::Requeue { filter } => {
                let warnings = self.observer.resting(filter.binding.as_deref(), filter.plugin.as_deref());
                let answer = |letters| json!({ "dead_letters": letters, "letters": letters, "warnings": warnings });
                return self
                    .archive
                    .requeue(filter)
                    .await
                    .map_or_else(Response::Error, |all| Response::Ok(answer(all)));
            }
            Request::PurgeDeadLetters { filter } => self.archive.purge(filter).await,
            Request::Skip { upstream, number, drop } => return self.skip(&upstream, number, drop).await,
            Request::Log { levels, reset } => return log(&levels, reset),
            Request::Tap(_) => return Response::Error("a tap is a conversation of its own".into()),
        };
        // Under its old name, too, for one release.
        let answer = |letters| Response::Ok(json!({ "dead_letters": letters, "letters": letters }));
        letters.map_or_else(Response::Error, answer)
    }

    async fn skip(&self, upstream: &str, number: Option<u64>, drop: bool) -> Response {
        let Some(upstream) = self.observer.upstream(upstream) else {
            let known: Vec<_> = self.observer.upstreams.iter().map(|known| known.name.as_str()).collect();
            let advice = did_you_mean(upstream, &known, "this gateway has none");
            return Response::Error(format!("there is no upstream `{upstream}`: {advice}"));
        };
        let skipped = upstream.operator.skip(number, !drop).await;
        skipped.map_or_else(Response::Error, |skipped| {
            Response::Ok(json!({ "number": skipped.number, "topic": skipped.topic, "kept": !drop }))
        })
    }
}

fn log(levels: &str, reset: bool) -> Response {
    let holds = match levels.parse() {
        Ok(_) if reset => log_levels::reset(),
        Ok(levels) => log_levels::ask(&levels),
        Err(error) => return Response::Error(error.to_string()),
    };
    if reset || !levels.is_empty() {
        tracing::info!("the log has other levels: {holds}");
    }
    Response::Ok(json!({ "levels": holds.to_string() }))
}

pub(super) fn respond(answer: &impl serde::Serialize) -> Response {
    serde_json::to_value(answer).map_or_else(|error| Response::Error(error.to_string()), Response::Ok)
}
