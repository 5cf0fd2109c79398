//! The task that owns one upstream: connect, hand over to the session, wait, again.
//!
//! **Which session?** The spool remembers that one began, under which client id, before anything was sent in it. When it does, we
//! use it and go on where we or an earlier process were. When it does not, the server may still keep one of somebody else,
//! whose packet ids would clash with ours, and a new QoS 2 message under an id that the server holds is taken for a repeat
//! and lost. A client without session state must not use such a session [MQTT-3.2.2-4]: one that turns up unexpected is
//! cleared by a short connection of its own. MQTT 5 could ask for "clean now, kept later" in one CONNECT; mosquitto 2.0
//! takes such a session for one that it need not save, forgets it when it restarts, and QoS 2 is exactly once only while
//! the session is kept.
//!
//! **With several addresses** the session is that of the address where we were let in last, and the spool remembers which that is.
//! Elsewhere it is lost, as if the server had forgotten it: what was open is sent again there, and QoS 2 is counted. When
//! we come back to an address, what it still keeps of us is older than what we know, and is cleared in the same way.
//!
//! **With another client under our id** ([`super::rivals`]) the session is nobody's: what we would resume has the packet ids of two.
//! It is lost, too, and cleared. That it is in doubt, or lost, is on disk before the next connection.

mod changes;
mod referral;
mod rivalry;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::referral::Destination;
use super::backoff::Backoff;
use super::failback::{self, Failback};
use super::isolation::Isolation;
use super::link::{Identity, Link, Terms};
use super::link_error::LinkError;
use super::mqtt::{Granted, UpstreamSession, recovered};
use super::operator::Operator;
use super::prepare::{Endpoint, Prepared};
use super::refusals::Refusals;
use super::reload;
use super::rivals::Rivals;
use super::round::Round;
use super::session::{Acks, Elsewhere, End, Inflight, Sender, Session};
use super::status::{Reporter, UpstreamStatus};
use super::subscriber::{Inbox, Subscriber};
use super::transport::{Dial, Network};
use super::troubles::Troubles;
use super::unasked::Unasked;
use super::undelivered::{DeadLetters, Filing};
use crate::base::chance::chance;
use crate::base::rate_limit::RateLimit;
use crate::metrics::Counters;
use crate::mqtt::client::MAX_INCOMING;
use crate::spool::Queue;

/// One line for each kind of loss and upstream in this time: a warning for each message would bury the log.
const WARN_EVERY: Duration = Duration::from_secs(10);

struct Client<D> {
    dial: D,
    upstream: Prepared,
    sender: Sender,
    round: Round,
    backoff: Backoff,
    /// How often the first address is looked for.
    failback: Duration,
    /// What the spool knows of the session.
    remembered: Option<UpstreamSession>,
    reporter: Reporter,
    troubles: Troubles,
    /// Another server, where the last one has sent us.
    referral: Option<Endpoint>,
    /// Those of the last connection.
    terms: Option<Terms>,
    rivals: Rivals,
}

/// Who looks at the answer waits for five seconds.
const PROBE: Duration = Duration::from_secs(4);
const PROBE_OF_NOBODY: Duration = Duration::from_millis(900);

/// What an address said to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    LetsUsIn,
    /// It checks neither user name nor password.
    LetsAnybodyIn,
}

/// A sender that runs.
pub struct Running {
    pub task: JoinHandle<()>,
    pub status: watch::Receiver<UpstreamStatus>,
    pub operator: Operator,
}

/// Starts the task. It ends by itself only after `shutdown`; whoever holds the handle notices if it ends otherwise.
pub fn start(
    upstream: Prepared,
    queue: Arc<Queue>,
    letters: Arc<dyn DeadLetters>,
    inbox: Option<Inbox>,
    counters: Arc<Counters>,
    shutdown: CancellationToken,
) -> Running {
    start_with(Network::default(), upstream, queue, letters, inbox, counters, shutdown)
}

pub(crate) fn start_with<D: Dial>(
    dial: D,
    mut upstream: Prepared,
    queue: Arc<Queue>,
    letters: Arc<dyn DeadLetters>,
    inbox: Option<Inbox>,
    counters: Arc<Counters>,
    shutdown: CancellationToken,
) -> Running {
    let (reporter, status) = Reporter::new();
    let (operator, skips) = Operator::new();
    let recovered = recovered(&queue);
    let home = recovered.session.as_ref().and_then(|session| home(&upstream, session));
    let mut inflight = Inflight::recover(upstream.spec.max_inflight, recovered.sent_below, &recovered.released);
    if recovered.session.as_ref().is_some_and(rivalry::is_spoilt) {
        inflight.distrust_ids();
    }
    let rivals = Rivals::remembered(recovered.session.as_ref().is_some_and(rivalry::is_in_doubt));
    let metrics = counters.upstreams.of(&upstream.spec.name);
    let session = recovered.session.as_ref();
    let subscriber = inbox
        .and_then(|inbox| Subscriber::new(&upstream.spec, inbox, session, queue.clone(), metrics.clone()))
        .map(Box::new);
    upstream.max_incoming = subscriber.as_ref().map_or(MAX_INCOMING, |subscriber| subscriber.max_packet_size);
    let sender = Sender {
        upstream: upstream.spec.name.clone(),
        ack_timeout: upstream.spec.ack_timeout,
        queue,
        inflight,
        metrics,
        refusals: Refusals::new(upstream.spec.refused),
        filing: Filing::new(letters),
        refused: RateLimit::one_in(WARN_EVERY),
        oversize: RateLimit::one_in(WARN_EVERY),
        acks: Acks::default(),
        isolation: Isolation::default(),
        skips,
        elsewhere: Elsewhere::default(),
        subscriber,
    };
    let files = upstream.clone();
    let follow = {
        let (reporter, stop) = (reporter.clone(), shutdown.clone());
        async move { reload::follow(&files, reporter, stop).await }
    };
    let client = Client {
        dial,
        sender,
        round: Round::new(upstream.endpoints.len(), home),
        backoff: Backoff::new(chance),
        failback: upstream.spec.failback,
        upstream,
        remembered: recovered.session,
        reporter,
        troubles: Troubles::default(),
        referral: None,
        terms: None,
        rivals,
    };
    let task = tokio::spawn(async move {
        tokio::select! {
            () = client.run(shutdown) => {}
            () = follow => {}
        }
    });
    Running { task, status, operator }
}

/// Whether an address of an upstream lets us in, tried under another client id; and, where we have credentials, whether it lets in somebody whom
/// it cannot know.
pub async fn probe(upstream: &Prepared, endpoint: &Endpoint) -> Result<Probed, LinkError> {
    let network = Network::default();
    failback::probe(&network, &upstream.within(PROBE), endpoint).await?;
    if upstream.spec.username.is_none() {
        return Ok(Probed::LetsUsIn);
    }
    let nobody = upstream.within(PROBE_OF_NOBODY).for_nobody();
    let answer = failback::probe(&network, &nobody, endpoint).await;
    Ok(answer.map_or(Probed::LetsUsIn, |()| Probed::LetsAnybodyIn))
}

/// The address where this session is; none when it has gone from the configuration.
fn home(upstream: &Prepared, session: &UpstreamSession) -> Option<usize> {
    let is_there = |endpoint: &Endpoint| rivalry::url_of(session) == endpoint.to_string();
    let home = upstream.endpoints.iter().position(is_there);
    home.filter(|_| session.client_id == upstream.spec.client_id && !upstream.is_session_foreign)
}

// === impl Client ===

impl<D: Dial> Client<D> {
    async fn run(mut self, shutdown: CancellationToken) {
        while let Some(wait) = self.turn(&shutdown).await {
            if shutdown.run_until_cancelled(self.sender.meanwhile(tokio::time::sleep(wait))).await.is_none() {
                break;
            }
        }
        self.sender.finish_filing().await;
        self.reporter.disconnected(None);
        let left = self.sender.queue.len();
        if left > 0 {
            tracing::warn!(
                upstream = self.sender.upstream,
                left,
                "stopped with messages that are not forwarded; QoS 1 and 2 are kept"
            );
        }
    }

    /// One connection from dialling to its end. Gives the wait before the next; `None` when the shutdown has ended it.
    async fn turn(&mut self, shutdown: &CancellationToken) -> Option<Duration> {
        self.reporter.attempt();
        let Some(Destination { endpoint, referral }) = self.destination() else {
            // The configuration has one at least.
            return std::future::pending().await;
        };
        let listens = self.listens();
        let Self { dial, upstream, round, sender, .. } = self;
        let opening = sender.meanwhile(open(dial, upstream, round, &endpoint, listens));
        let link = match shutdown.run_until_cancelled(opening).await? {
            Ok(link) => link,
            Err(error) => {
                let wait = self.not_connected(&error, &endpoint);
                referral.into_iter().for_each(|referral| self.not_let_in(referral));
                self.remember_doubt().await;
                return Some(wait);
            }
        };
        if listens && link.session_present {
            self.rivals.listened();
        }
        let start = Instant::now();
        self.connected(&endpoint, &link);
        let served = self.serve(&endpoint, link, shutdown).await;
        let wait = match &served {
            Ok(End::Shutdown) => None,
            Ok(End::Failback) => Some(self.go_back()),
            Ok(End::Elsewhere(at)) => Some(self.go_to(*at)),
            Ok(End::Renew) => Some(self.renew()),
            Err(error) => Some(self.broke(error, &endpoint, start.elapsed())),
        };
        self.sender.inflight.disconnected();
        if served.is_err() {
            self.remember_doubt().await;
        }
        if referral.is_some() {
            self.leave_referral();
        }
        wait
    }

    async fn serve(&mut self, endpoint: &Endpoint, link: Link, shutdown: &CancellationToken) -> Result<End, LinkError> {
        let at = self.round.at();
        let kept = self.round.home() == Some(at) && link.session_present;
        self.round.set_home(kept.then_some(at));
        self.remember_session(endpoint, kept).await?;
        self.round.set_home(Some(at));
        if let (Some(subscriber), Some(session)) = (&mut self.sender.subscriber, &self.remembered) {
            subscriber.begin(session, kept);
        }
        let mut session = Session::new(&mut self.sender, link);
        if kept {
            session.resume();
        } else {
            session.restart();
        }
        let wanted = self.upstream.endpoints.first().filter(|_| at > 0);
        let failback = Failback { dial: &self.dial, upstream: &self.upstream, wanted, every: self.failback };
        let end = session.run(shutdown, &failback).await;
        if let (Some(subscriber), Some(session)) = (&self.sender.subscriber, &mut self.remembered) {
            session.subscribed = subscriber.granted();
        }
        // What floods us may be a subscription in a session that was somebody's before.
        if matches!(end, Err(LinkError::SessionBroken | LinkError::Flood(Unasked::Publish))) {
            self.round.set_home(None);
        }
        end
    }

    /// Which session it is, and what we are subscribed to in it. Where nothing is, there is nothing to tell one from another by.
    fn subscriptions_of(&self, is_kept: bool) -> (u32, Vec<Granted>) {
        let before = self.remembered.as_ref().filter(|_| self.sender.subscriber.is_some());
        let generation = before.map_or(0, |session| session.generation);
        match before {
            Some(session) if is_kept => (generation, session.subscribed.clone()),
            _ if self.sender.subscriber.is_some() => (generation.wrapping_add(1), Vec::new()),
            _ => (0, Vec::new()),
        }
    }

    /// The next process must know of this session, and of its window, before anything is sent in it.
    async fn remember_session(&mut self, endpoint: &Endpoint, kept: bool) -> Result<(), LinkError> {
        let spec = &self.upstream.spec;
        let (client_id, url) = (spec.client_id.clone(), self.url_to_remember(endpoint, kept));
        let (generation, subscribed) = self.subscriptions_of(kept);
        let session = UpstreamSession { client_id, url, window: spec.max_inflight, generation, subscribed };
        if kept && self.remembered.as_ref() == Some(&session) {
            return Ok(());
        }
        let state = session.encode();
        let durable = self.sender.queue.remember(&state, !kept);
        match tokio::time::timeout(spec.connect_timeout, durable).await {
            Ok(true) => {
                self.remembered = Some(session);
                Ok(())
            }
            Ok(false) | Err(_) => Err(LinkError::NotRemembered),
        }
    }
}

async fn open(
    dial: &impl Dial,
    upstream: &Prepared,
    round: &Round,
    endpoint: &Endpoint,
    listens: bool,
) -> Result<Link, LinkError> {
    let start = Instant::now();
    let mut link = open_with(dial, upstream, endpoint, false).await?;
    if listens && link.session_present {
        link.listen(rivalry::quiet(start.elapsed(), upstream.spec.keep_alive)).await?;
    }
    if round.home() == Some(round.at()) || !link.session_present {
        return Ok(link);
    }
    link.close().await;
    open_with(dial, upstream, endpoint, true).await?.close().await;
    let link = open_with(dial, upstream, endpoint, false).await?;
    if link.session_present {
        // Whose it is, nobody knows [MQTT-3.2.2-4].
        link.close().await;
        return Err(LinkError::NotCleared);
    }
    Ok(link)
}

/// A clean start is for clearing, and leaves nothing behind.
async fn open_with(
    dial: &impl Dial,
    upstream: &Prepared,
    endpoint: &Endpoint,
    clean_start: bool,
) -> Result<Link, LinkError> {
    let spec = &upstream.spec;
    let session_expiry = if clean_start { Duration::ZERO } else { spec.session_expiry };
    let identity = Identity { client_id: &spec.client_id, clean_start, session_expiry };
    Link::open(dial, upstream, endpoint, identity).await
}

#[cfg(test)]
pub(super) mod tests;
