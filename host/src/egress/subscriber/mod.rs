//! What an upstream sends us, when it is subscribed to: the receiver's half of one session there.
//!
//! ```text
//!  PUBLISH ─▶ mqtt::receiver ─▶ dispatcher ─▶ bindings that are `from` it ─▶ record ─▶ disk ─▶ receipt ─▶ PUBACK, PUBREC
//!                (identities)      (parked)
//! ```
//!
//! - **Nothing is acknowledged before it is on disk**, with all that it has caused: outputs, local deliveries, what plugins remember, and
//!   at QoS 2 its identity ([`exchanges`]). An ack that never left is no loss: the upstream sends the message again.
//! - **It outlives connections**, as the sender's half does. What was taken before a cut goes on; its acks are those of the next connection, as
//!   far as that has the same session.
//! - **With another session there are other identities.** The ones of before mean nothing in it, and each has the number of its session.
//!   What the upstream had for us in a session that it has not kept is lost, which is counted and said.
//! - **What is asked for is asked for once in a session** ([`subscriptions`]), and remembered when it was granted: with each
//!   SUBSCRIBE the server may send all that is retained once more.
//! - **Bounded**: by Receive Maximum, which MQTT 5 keeps; who sends more ends the connection. QoS 0 that finds no place goes, counted.
//!
//! Acks are read whatever waits here. The upstream's own acks are behind its messages in one stream: not to read would hold up what is on its
//! way up, and with a full spool for ever.

mod answers;
mod exchanges;
mod messages;
mod subscriptions;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::exchanges::Exchanges;
pub use self::messages::Refusal;
use self::subscriptions::Subscriptions;
use super::mqtt::{Granted, UpstreamSession};
use crate::base::rate_limit::RateLimit;
use crate::bindings::{Dispatcher, Parked};
use crate::config::{self, UpstreamId};
use crate::message::Origin;
use crate::metrics::UpstreamMetrics;
use crate::mqtt::Version;
use crate::mqtt::receiver::{Packets, Receiver};
use crate::spool::{Key, Queue, Receipt, Resolved, Value};

/// One line for each kind of trouble in this time.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// Where the messages of an upstream go.
pub struct Inbox {
    pub id: UpstreamId,
    pub dispatcher: Arc<Dispatcher>,
    /// Bytes of the largest packet that is taken.
    pub max_packet_size: usize,
    /// Of all connections, devices among them.
    pub parked_bytes: Arc<AtomicUsize>,
    /// Cancelled when nothing more is to be taken: the gateway stops.
    pub closing: CancellationToken,
    /// What the log has of exchanges with upstreams, from an earlier process.
    pub state: Vec<(Key, Value)>,
}

/// See the head of this file.
pub struct Subscriber {
    upstream: Arc<str>,
    id: UpstreamId,
    protocol: Version,
    dispatcher: Arc<Dispatcher>,
    closing: CancellationToken,
    pub max_packet_size: usize,
    /// As CONNECT tells it.
    receive_maximum: u16,
    receiver: Receiver,
    resolved: Resolved,
    parked: Parked,
    exchanges: Exchanges,
    subscriptions: Subscriptions,
    /// The session as it is remembered; none before the first connection.
    session: Option<UpstreamSession>,
    remembering: Option<Remembering>,
    origin: Arc<Origin>,
    queue: Arc<Queue>,
    metrics: Arc<UpstreamMetrics>,
    complaints: RateLimit,
    unwanted: RateLimit,
}

/// What was granted, on its way to the disk.
struct Remembering {
    session: UpstreamSession,
    durable: Pin<Box<dyn Future<Output = bool> + Send>>,
}

/// Something has happened that it waits for.
pub enum Event {
    /// What this ticket stands for is on disk, or refused.
    Done(u64),
    /// A message has its place, and others may follow.
    Started,
    Remembered,
}

// === impl Inbox ===

impl Inbox {
    /// Of what the spool gives back: only what belongs to upstreams.
    pub fn state_of(restored: &[(Key, Value)], name: &str) -> Vec<(Key, Value)> {
        restored.iter().filter(|(key, _)| exchanges::is_of(key, name)).cloned().collect()
    }
}

// === impl Subscriber ===

impl Subscriber {
    /// None when nothing is asked of this upstream, and nothing was before.
    pub fn new(
        spec: &config::Upstream,
        inbox: Inbox,
        remembered: Option<&UpstreamSession>,
        queue: Arc<Queue>,
        metrics: Arc<UpstreamMetrics>,
    ) -> Option<Self> {
        let had_some = remembered.is_some_and(|session| !session.subscribed.is_empty());
        if spec.subscribe.is_empty() && !had_some && inbox.state.is_empty() {
            return None;
        }
        let upstream: Arc<str> = spec.name.as_str().into();
        let generation = remembered.map_or(0, |session| session.generation);
        let exchanges = Exchanges::new(upstream.clone(), &spec.client_id, generation);
        let mut receiver = Receiver::default();
        exchanges.restore(&inbox.state, &mut receiver);
        let stale = exchanges.stale(&inbox.state);
        inbox.dispatcher.journal().change(stale, Receipt::none());
        // No client identifier of a device can be taken for it: those have no say over what an upstream sends.
        let origin = Origin { client: format!("upstream:{upstream}").into(), ..Origin::gateway(0) };
        Some(Self {
            id: inbox.id,
            protocol: spec.protocol,
            closing: inbox.closing,
            max_packet_size: inbox.max_packet_size,
            receive_maximum: spec.max_inflight,
            receiver,
            resolved: Resolved::default(),
            parked: Parked::new(inbox.dispatcher.clone(), inbox.parked_bytes),
            dispatcher: inbox.dispatcher,
            exchanges,
            subscriptions: Subscriptions::new(&spec.subscribe),
            session: remembered.cloned(),
            remembering: None,
            origin: Arc::new(origin),
            queue,
            metrics,
            complaints: RateLimit::one_in(WARN_EVERY),
            unwanted: RateLimit::one_in(WARN_EVERY),
            upstream,
        })
    }

    /// A connection begins, with this session. `is_kept`: the server has it from before.
    pub fn begin(&mut self, session: &UpstreamSession, is_kept: bool) {
        self.remembering = None;
        if is_kept {
            self.receiver.reconnect();
            self.parked.forget_resent();
        } else {
            self.lose_session(session);
        }
        self.subscriptions.begin(&session.subscribed);
        self.session = Some(session.clone());
    }

    /// What was taken in the session of before goes on, and nobody waits for its acks.
    fn lose_session(&mut self, next: &UpstreamSession) {
        let lost = self.session.as_ref().is_some_and(|session| !session.subscribed.is_empty());
        if lost {
            self.metrics.subscriptions_lost.increment();
            tracing::warn!(
                upstream = %self.upstream,
                "a new session begins at the upstream: what it had for us in the one of before, and has not sent, is lost"
            );
        }
        // Before anything of the new session is written, so that none of its identifiers is taken for one of these.
        let ended = self.receiver.received().map(|id| self.exchanges.end(id)).collect();
        self.dispatcher.journal().change(ended, Receipt::none());
        (self.receiver, self.resolved) = (Receiver::default(), Resolved::default());
        self.exchanges = Exchanges::new(self.upstream.clone(), &next.client_id, next.generation);
    }

    /// What has been granted and is on disk, for the next connection and the next process.
    pub fn granted(&self) -> Vec<Granted> {
        self.session.as_ref().map_or_else(Vec::new, |session| session.subscribed.clone())
    }

    /// The next thing that it waits for. Nothing is lost when it is not waited for to the end.
    pub async fn event(&mut self) -> Event {
        let Self { resolved, parked, remembering, .. } = self;
        tokio::select! {
            biased;
            ticket = resolved.next() => Event::Done(ticket),
            // Places are never closed.
            _ = parked.started() => Event::Started,
            () = remembered(remembering) => Event::Remembered,
        }
    }

    /// While there is no connection: what was taken goes on, and acks are for the next one, as far as that is of the same session.
    pub async fn meanwhile(&mut self) {
        match self.event().await {
            Event::Done(ticket) => drop(self.done(ticket)),
            Event::Started => {}
            Event::Remembered => self.remembered(),
        }
    }

    /// Those whose turn has come with this ticket, and with others that are there.
    pub fn acknowledge(&mut self, ticket: u64) -> Packets {
        let mut packets = self.done(ticket);
        while let Some(ticket) = self.resolved.try_next() {
            packets.extend(self.done(ticket));
        }
        packets
    }

    /// That what was granted is on disk, as far as it is.
    pub fn remembered(&mut self) {
        if let Some(Remembering { session, .. }) = self.remembering.take() {
            self.session = Some(session);
        }
    }

    /// When an answer to SUBSCRIBE is overdue.
    pub fn answer_due(&self) -> Option<Instant> {
        self.subscriptions.due()
    }
}

/// Returns when it is on disk. Never, while nothing is on its way, or when the spool has ended: then the process ends, too.
async fn remembered(remembering: &mut Option<Remembering>) {
    if let Some(Remembering { durable, .. }) = remembering
        && !durable.as_mut().await
    {
        *remembering = None;
    }
    if remembering.is_none() {
        std::future::pending().await
    }
}
